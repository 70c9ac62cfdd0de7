-- ledger.tell_hold: trigger function: tells the operator's endpoints of a hold that ended by itself (hold.expired). Callers: triggers
create or replace function ledger.tell_hold()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if messages.listens('hold') then
    perform messages.tell('hold.expired', new.owner_id, new.id::text, new.version,
      jsonb_build_object('state', new.state, 'unit', new.unit, 'amount', new.amount, 'reason', new.reason,
        'expires_at', ops.utc(new.expires_at), 'ended_at', ops.utc(new.ended_at)));
  end if;
  return null;
end
$$;
