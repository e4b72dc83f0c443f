"""Pictures of networks: layouts that read a report and give a `rfcalc.report.document.Picture`, one file a style."""
