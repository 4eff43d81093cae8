"""From records to what people read: cells, tables, figures. Imports no torch."""
