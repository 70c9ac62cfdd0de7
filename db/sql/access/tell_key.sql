-- access.tell_key: trigger function: tells the operator's endpoints what became of an access key: access.created, .activated, .revoked,
-- .removed. The key itself is not told: whoever has it is let in. Callers: triggers
create or replace function access.tell_key()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if messages.listens('access') then
    perform messages.tell(
      case new.state when 'pending' then 'access.created' when 'active' then 'access.activated'
        when 'removing' then 'access.revoked' when 'removed' then 'access.removed' end,
      new.workspace_id, new.id::text, new.version,
      jsonb_build_object('state', new.state, 'subscription_id', new.subscription_id,
        'activated_at', ops.utc(new.activated_at), 'revoked_at', ops.utc(new.revoked_at), 'removed_at', ops.utc(new.removed_at)));
  end if;
  return null;
end
$$;
