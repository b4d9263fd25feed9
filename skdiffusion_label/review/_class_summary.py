class ClassSummaryDisplay: pass
