-- payments.record_session: the provider made the purchase's session for the claim's holder. Written once: whoever comes later,
-- or to a purchase that is over, is answered what stands (`session_id` other than the one that came, or a state other than
-- pending: that session is nobody's, and is to be expired).
-- Refuses: not_found. Locks: the workspace, then the purchase. Callers: worker
create or replace function payments.record_session(
  inout id uuid,
  token uuid,
  inout session_id text,
  inout url text,
  inout expires_at timestamptz,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select p.workspace_id into v_row from payments.purchase p where p.id = record_session.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform people.lock_workspace(v_row.workspace_id);
  update payments.purchase p
     set provider_id = record_session.session_id, url = record_session.url, expires_at = record_session.expires_at,
         check_due_at = case when p.provider = 'btcpay'
           then least(record_session.expires_at + interval '1 minute', ops.now() + interval '5 minutes')
           else record_session.expires_at + interval '1 minute' end,
         lease_token = null, leased_until = null
   where p.id = record_session.id and p.state = 'pending' and p.provider_id is null and p.lease_token = record_session.token
  returning p.state into record_session.state;
  if found then
    return;
  end if;
  select p.provider_id, p.url, p.expires_at, p.state
    into strict record_session.session_id, record_session.url, record_session.expires_at, record_session.state
    from payments.purchase p
   where p.id = record_session.id;
end
$$;
