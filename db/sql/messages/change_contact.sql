-- messages.change_contact: another language, other opt-outs, whether its address is left in peace (`silenced`), or whether its reader has
-- left broadcasts (`has_left`); what is null stays: other opt-outs do not bring back who has left.
-- Guarantees: what is queued for it and not claimed yet is asked again whether it may go; an audit row in the same statement.
-- Refuses: not_found; constraint contact_language_form. Locks: the contact. Callers: worker
create or replace function messages.change_contact(
  inout workspace_id uuid,
  inout id uuid,
  inout language text,
  inout opt_outs text[],
  silenced boolean,
  caused_by text,
  has_left boolean default null,
  out channel text,
  out address text,
  out silenced_at timestamptz,
  out silenced_reason text,
  out created_at timestamptz,
  out left_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.contact c
     set language = coalesce(change_contact.language, c.language), opt_outs = coalesce(change_contact.opt_outs, c.opt_outs),
         silenced_at = case when change_contact.silenced then coalesce(c.silenced_at, ops.now())
           when change_contact.silenced is null then c.silenced_at end,
         silenced_reason = case when change_contact.silenced then coalesce(c.silenced_reason, 'silenced')
           when change_contact.silenced is null then c.silenced_reason end,
         left_at = case when change_contact.has_left then coalesce(c.left_at, ops.now())
           when change_contact.has_left is null then c.left_at end,
         leavings = c.leavings + (change_contact.has_left is true and c.left_at is null)::integer
   where c.id = change_contact.id and c.workspace_id = change_contact.workspace_id
  returning c.channel, c.address, c.language, c.opt_outs, c.silenced_at, c.silenced_reason, c.created_at, c.left_at
       into change_contact.channel, change_contact.address, change_contact.language, change_contact.opt_outs,
            change_contact.silenced_at, change_contact.silenced_reason, change_contact.created_at, change_contact.left_at;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform ops.record_change(
    workspace_id => change_contact.workspace_id, actor => change_contact.caused_by, action => 'contact.change',
    subject => 'contact:' || change_contact.id,
    detail => jsonb_build_object('language', change_contact.language, 'opt_outs', to_jsonb(change_contact.opt_outs),
      'silenced', change_contact.silenced_at is not null, 'left', change_contact.left_at is not null));
end
$$;
