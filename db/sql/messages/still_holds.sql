-- messages.still_holds: is what a message says still to be said? Asked when it is about to be sent: a subscription that was renewed
-- meanwhile gets no reminder, a key that was revoked is not added, who opted out hears nothing. Each domain answers for what it said.
-- Callers: messages.claim
create or replace function messages.still_holds(kind text, workspace_id uuid, body jsonb, contact_id uuid, endpoint_id uuid)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return case
    when still_holds.endpoint_id is not null then messages.endpoint_takes(still_holds.endpoint_id)
    when still_holds.contact_id is not null then
      messages.contact_takes(still_holds.contact_id, still_holds.kind) and billing.notice_holds(still_holds.kind, still_holds.body)
    when still_holds.kind in ('add_key', 'remove_key', 'remove_stray') then access.still_wanted(still_holds.kind, still_holds.body)
    else true
  end;
end
$$;
