-- billing.trial_expire: trials that are over end. A paid subscription is none, however it began (D8). Guarantees and locks: as billing.sweep_due.
-- Callers: worker (sweep trial_expire)
create or replace function billing.trial_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict trial_expire.processed, trial_expire.failed, trial_expire.more
    from billing.sweep_due('trial_expire', trial_expire.batch) d;
end
$$;
