-- ledger.amount: what an account, a lot or a movement may hold: 0 to 2^53 − 1, so that it survives JSON and JavaScript.
-- (A bigint has no NaN and no Infinity to slip past a check, which a numeric has.)
create domain ledger.amount as bigint constraint amount_within check (value between 0 and 9007199254740991);
