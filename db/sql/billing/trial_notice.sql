-- billing.trial_notice: whoever's trial ends in 3 days, or in 1, is told, once each (D8). Guarantees and locks: as billing.sweep_due.
-- Callers: worker (sweep trial_notice)
create or replace function billing.trial_notice(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict trial_notice.processed, trial_notice.failed, trial_notice.more
    from billing.sweep_due('trial_notice', trial_notice.batch) d;
end
$$;
