-- ledger.word: the name of a unit or a pool.
create domain ledger.word as text constraint word_plain check (value ~ '^[a-z][a-z0-9_]{0,31}$');
