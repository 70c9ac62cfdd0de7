-- ledger.transaction_kind: what a movement is.
create domain ledger.transaction_kind as text constraint transaction_kind_known check (value in (
    'grant', 'reset', 'spend', 'hold', 'settle', 'release', 'hold_expire', 'expire', 'take_back', 'give_back', 'reverse',
    'limit', 'adjust', 'roll_over', 'charge'));
