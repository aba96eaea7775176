"""``vfer.report``: result bundles as a page and tables."""
