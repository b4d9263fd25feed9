class LossCurveDisplay: pass
