-- billing.reminders: whoever's period ends in 7 days, 3, or 1, is told, once each (D14). Guarantees and locks: as billing.sweep_due.
-- Callers: worker (sweep reminders)
create or replace function billing.reminders(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict reminders.processed, reminders.failed, reminders.more
    from billing.sweep_due('reminders', reminders.batch) d;
end
$$;
