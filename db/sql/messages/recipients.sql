-- messages.recipients: which of these contacts a broadcast of this kind to this segment is for, now: those of the segment that are not
-- silenced and have neither opted out nor left. A segment is `{"all": true}`, or conditions that all hold: `plans` (codes) and `subscriptions`
-- (states, or `none`) of the workspace's subscription that lives; `languages` (`de` is `de-AT` too); `created_after`, `created_before`
-- of the contact. Locks: nothing. Callers: messages.broadcasts, messages.count_recipients
create or replace function messages.recipients(ids uuid[], segment jsonb, kind text)
  returns uuid[]
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_languages text[] := array(select jsonb_array_elements_text(recipients.segment->'languages'));
  v_plans text[] := array(select jsonb_array_elements_text(recipients.segment->'plans'));
  v_states text[] := array(select jsonb_array_elements_text(recipients.segment->'subscriptions'));
  v_row record;
begin
  select coalesce(array_agg(c.id order by c.id), '{}') as contacts, coalesce(array_agg(c.workspace_id order by c.id), '{}') as workspaces
    into v_row
    from messages.contact c
   where c.id = any (recipients.ids) and c.silenced_at is null and messages.wants(c.opt_outs, c.left_at, recipients.kind)
     and (cardinality(v_languages) = 0 or c.language = any (v_languages) or split_part(c.language, '-', 1) = any (v_languages))
     and (c.created_at >= (recipients.segment->>'created_after')::timestamptz) is not false
     and (c.created_at < (recipients.segment->>'created_before')::timestamptz) is not false;
  if cardinality(v_plans) + cardinality(v_states) = 0 or cardinality(v_row.contacts) = 0 then
    return v_row.contacts;
  end if;
  return array(
    select w.id
      from billing.standings_of(v_row.workspaces) s
     cross join lateral unnest(v_row.contacts, s.states, s.plans) w(id, state, plan)
     where (cardinality(v_plans) = 0 or w.plan = any (v_plans))
       and (cardinality(v_states) = 0 or coalesce(w.state, 'none') = any (v_states))
     order by w.id);
end
$$;
