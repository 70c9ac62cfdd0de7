-- billing.claim_trial: whoever this is (`identity_hash`) has his trial by this purchase, and by nothing else, for ever; false: he had one.
-- A purchase that ends unpaid lets him have it (billing.drop_trial). Locks: the holder; who comes second waits for the first.
-- Callers: payments.start_checkout, payments.finalize
create or replace function billing.claim_trial(workspace_id uuid, identity_hash text, purchase_id uuid)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into billing.trial (holder, workspace_id, subscription_id, created_at)
  values ('identity:' || claim_trial.identity_hash, claim_trial.workspace_id, claim_trial.purchase_id, ops.now())
  on conflict on constraint trial_pk do nothing;
  return found;
end
$$;
