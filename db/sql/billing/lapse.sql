-- billing.lapse: who owes a provider for longer than the plan's grace is let in no more: his key goes (D18). What he owes, and whether the
-- subscription ends, is the provider's to say; who pays after that has another key.
-- Guarantees and locks: as billing.sweep_due. Callers: worker (sweep lapse)
create or replace function billing.lapse(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict lapse.processed, lapse.failed, lapse.more
    from billing.sweep_due('lapse', lapse.batch) d;
end
$$;
