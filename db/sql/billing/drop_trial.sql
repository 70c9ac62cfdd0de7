-- billing.drop_trial: a purchase that was to begin with a trial is over unpaid: whoever it was for has had none by it.
-- Locks: the holder. Callers: payments' routines
create or replace function billing.drop_trial(purchase_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  delete from billing.trial t where t.subscription_id = drop_trial.purchase_id;
end
$$;
