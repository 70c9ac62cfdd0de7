-- messages.demand_template: a broadcast has a text, and data for all that its texts name, but for the words that the deployment has of its
-- own on a channel (`own`: `{"email": ["unsubscribe_url"]}`). Refuses: template_unknown; data_missing (with the names).
-- Callers: messages.create_broadcast, messages.move_broadcast, messages.count_recipients
create or replace function messages.demand_template(channel text, kind text, data jsonb, own jsonb default '{}')
  returns void
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_own jsonb := coalesce(demand_template.own->demand_template.channel, '[]');
  v_row record;
begin
  select count(distinct n.language) as texts,
         array_agg(distinct v.name order by v.name) filter (where not demand_template.data ? v.name and not v_own ? v.name) as missing
    into v_row
    from (select distinct on (t.language) t.language, t.variables
            from messages.template t
           where t.kind = demand_template.kind and t.channel = demand_template.channel
           order by t.language, t.number desc) n
    left join lateral unnest(n.variables) v(name) on true;
  if v_row.texts = 0 then
    perform ops.refuse('template_unknown', jsonb_build_object('kind', demand_template.kind, 'channel', demand_template.channel));
  elsif v_row.missing is not null then
    perform ops.refuse('data_missing', jsonb_build_object('missing', to_jsonb(v_row.missing)));
  end if;
end
$$;
