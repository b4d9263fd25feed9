class LabelIssuesDisplay: pass
