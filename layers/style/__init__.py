"""One small style language for a layer; MapLibre, SLD, QML and the legend are all written from it."""
