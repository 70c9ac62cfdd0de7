-- messages.put_template: what a kind of message says on a channel in a language from now on; `variables`: the names that stand in it. The
-- same text again is no new number. Guarantees: numbers of one text follow each other without a gap; an audit row in the same statement.
-- Refuses: constraints template_*. Locks: the text's name (advisory), then what joins the channel (advisory, shared: who
-- starts a broadcast waits for it). Callers: worker
create or replace function messages.put_template(
  inout kind text,
  inout channel text,
  inout language text,
  inout subject text,
  inout body text,
  variables text[],
  caused_by text,
  out id uuid,
  out number integer,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  perform pg_advisory_xact_lock(hashtextextended('messages.template:' || put_template.kind || ':' || put_template.channel || ':'
    || put_template.language, 0));
  select t.id, t.number, t.subject, t.body, t.created_at into v_row
    from messages.template t
   where t.kind = put_template.kind and t.channel = put_template.channel and t.language = put_template.language
   order by t.number desc
   limit 1;
  if (v_row.subject, v_row.body) is not distinct from (put_template.subject, put_template.body) then
    put_template.id := v_row.id;
    put_template.number := v_row.number;
    put_template.created_at := v_row.created_at;
    return;
  end if;
  -- Before the clock is read: a start that goes first has an earlier started_at.
  perform pg_advisory_xact_lock_shared(hashtextextended('messages.joins:' || put_template.channel, 0));
  put_template.id := uuidv7();
  put_template.number := coalesce(v_row.number, 0) + 1;
  put_template.created_at := ops.now();
  insert into messages.template (id, kind, channel, language, number, subject, body, variables, created_at)
  values (put_template.id, put_template.kind, put_template.channel, put_template.language, put_template.number,
          put_template.subject, put_template.body, put_template.variables, put_template.created_at);
  perform ops.record_change(
    workspace_id => null, actor => put_template.caused_by, action => 'template.put',
    subject => 'template:' || put_template.kind || ':' || put_template.channel || ':' || put_template.language,
    detail => jsonb_build_object('number', put_template.number));
end
$$;
