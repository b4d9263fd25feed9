class TransitionMatrixDisplay: pass
