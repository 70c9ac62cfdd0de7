-- ledger.refuse_unbalanced: the trigger function that keeps half a movement out of the ledger, whoever writes it.
-- Guarantees: a transaction whose entries ledger.balanced does not accept is refused as by a check (23514, constraint
--   transaction_balanced). It is no check, since Postgres parses those again in each statement: a twentieth of a spend.
-- Callers: trigger
create or replace function ledger.refuse_unbalanced()
  returns trigger
  language plpgsql set search_path = ''
as $$
begin
  -- What nearly every transaction is, a spend from one lot, is seen at once.
  if new.sides = '{available,spent}' and cardinality(new.amounts) = 2 and cardinality(new.lots) = 2
    and new.amounts[2] > 0 and new.amounts[1] = -new.amounts[2] and new.lots[1] is not null then
    return new;
  elsif ledger.balanced(new.kind, new.sides, new.lots, new.amounts) then
    return new;
  end if;
  raise exception using errcode = 'check_violation', schema = 'ledger', table = 'transaction',
    constraint = 'transaction_balanced', message = 'the entries of a transaction must sum to zero';
end
$$;
