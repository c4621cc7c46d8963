"""Writers of one run to one file; all of them write what `reports.content` says."""
