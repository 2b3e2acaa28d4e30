"""CSW catalogues: ISO 19139 and 19115-3 records, and the data behind them."""
