"""Every rule under which the contracts refuse an event, and what to do about it."""

RULES: dict[str, str] = {
    # the bytes
    "value.missing": "The message has no value. A deletion mark is no event: void the event instead.",
    "size.exceeded": "Larger than 64 KiB. Send telemetry in shorter frames.",
    "json.invalid": "Not strict JSON (RFC 8259) in UTF-8: no NaN, no byte order mark, one document.",
    "json.duplicate-key": "An object has the same key twice: which one counts would be a guess.",
    "content-type.unsupported": "Send application/cloudevents+json, or in binary mode application/json.",
    "header.duplicate": "A CloudEvents header comes twice.",
    "header.invalid": "A CloudEvents header is not UTF-8.",
    # the type and its fields
    "type.unknown": "No such event type or version: see `dermastream contracts list`.",
    "field.missing": "A required field is absent.",
    "field.unknown": "A field that the contract does not have; its name is not repeated here.",
    "field.invalid": "Wrong type, out of its limits or not one of the allowed words; nothing is converted.",
    "list.repeated": "A list names the same thing twice.",
    # time
    "clock.future": "More than an hour ahead of the broker's clock, or booked for more than two years ahead.",
    "clock.past": "Before the year 2000. Check the clock.",
    "date.range": "A date that cannot be: before 1900 (a use-by date: 2000), or too far ahead.",
    "time-zone.unknown": "Not a name of the IANA time zone database, like Europe/Oslo.",
    # what contradicts itself
    "aware.before-onset": "The clinic cannot have become aware of a sign before its onset.",
    "firmware.unchanged": "An update to the version that ran before is none.",
    "frame.ragged": "Every channel of a frame has as many samples.",
    "limit.exceeded": "A protocol states settings above its own limits.",
    "reaction.reversed": "A reaction ends before it began.",
    "score.direction": "On this scale the other end is better. Check which numbering is used.",
    "score.range": "Outside the scale's range.",
    "screening.decision": "The decision does not fit what screening found.",
    "seriousness.contradiction": "A criterion of seriousness is given though the event is not serious.",
    "session.reversed": "A session ends before it began.",
    "udi.check-digit": "The last digit of the device identifier does not fit: a typing error.",
    "supersedes.self": "An event cannot replace itself: a correction has an id of its own.",
    "voids.self": "An event cannot void itself.",
    # where it travels
    "topic.unknown": "None of our topics.",
    "topic.wrong": "This type does not belong on that topic: see `dermastream contracts show TYPE`.",
    "key.mismatch": "The Kafka key is not the event's: order holds only within a key.",
    "clinic.mismatch": "The topic belongs to another clinic than the event's source names.",
    "id.conflict": "Another event has this source and id. To correct one, send a new id with `supersedes`.",
    "retention.passed": "It occurred before the day up to which retention has removed such events.",
}
"""What the gateway refuses before that (files, tokens, patients' references) it names itself."""
