"""The weekly report: one frozen result set, rendered as HTML, PDF and CSV, archived for good.

freeze (warehouse, one snapshot) -> ReportData -> words -> HTML, PDF, CSV -> archive
"""

from dashboards.report.archive import build, issue, newest_issue
from dashboards.report.frozen import editions, freeze
from dashboards.report.model import ReportData
from dashboards.report.week import IsoWeek

__all__ = ["IsoWeek", "ReportData", "build", "editions", "freeze", "issue", "newest_issue"]
