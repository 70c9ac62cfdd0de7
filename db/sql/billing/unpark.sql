-- billing.unpark: a subscription that sweeps had failed at went through, or has changed: its failures are no longer open.
-- Callers: billing's routines
create or replace function billing.unpark(id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform ops.unpark(x.sweep, unpark.id::text)
     from unnest('{auto_renew,expire,trial_expire,trial_notice,reminders}'::text[]) x(sweep);
end
$$;
