"""A gateway's outbox and intake, as its settings say; without the server, so that commands stay quick."""

from producers.contracts import SettingsError
from producers.gateway.intake import Intake
from producers.gateway.outbox import Outbox
from producers.gateway.pseudonyms import PatientPseudonyms, read_key
from producers.gateway.settings import GatewaySettings


def open_outbox(settings: GatewaySettings) -> Outbox:
    """The outbox in the gateway's folder. Raises SettingsError."""
    return Outbox(
        settings.outbox_file,
        max_bytes=settings.max_outbox_bytes,
        min_free_bytes=settings.min_free_bytes,
    )


def open_intake(settings: GatewaySettings, outbox: Outbox, *, accept_new_key: bool = False) -> Intake:
    """The intake with each clinic's key. Raises SettingsError for a key other than the one used before."""
    if not settings.clinics:
        raise SettingsError("clinics is empty: `dermastream gateway init CLINIC` makes a gateway's folder")
    pseudonyms = {clinic: read_key(settings.key_file(clinic)) for clinic in settings.clinics}
    for clinic, key in pseudonyms.items():
        _same_key_as_before(clinic, key, outbox, accept_new_key)
    return Intake(outbox, pseudonyms, trust_patient_keys=settings.trust_patient_keys)


def _same_key_as_before(clinic: str, key: PatientPseudonyms, outbox: Outbox, accept_new: bool) -> None:
    name = f"patient-key/{clinic}"
    if accept_new:
        outbox.remark(name, key.fingerprint)
    if outbox.mark(name, key.fingerprint) != key.fingerprint:
        raise SettingsError(
            f"the patient key of {clinic} is not the one used so far: every patient would become somebody "
            "else. Restore the old key, or start once with --accept-new-key"
        )
