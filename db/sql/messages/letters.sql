-- messages.letters: what one batch of messages to people needs, in the order of `ids`: whom, in which language, and by which text:
-- the newest of the contact's language, else of the language without its country, else of English; null: what comes with the house.
-- A broadcast, which comes with none, says it in whatever language it has; and to everybody what its text was when it started.
-- Addresses are null where the contact is gone.
-- Locks: nothing. Callers: worker
create or replace function messages.letters(
  ids uuid[],
  out addresses text[],
  out languages text[],
  out text_languages text[],
  out subjects text[],
  out bodies text[]
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select array_agg(c.address order by i.position), array_agg(c.language order by i.position),
         array_agg(t.language order by i.position), array_agg(t.subject order by i.position), array_agg(t.body order by i.position)
    into letters.addresses, letters.languages, letters.text_languages, letters.subjects, letters.bodies
    from unnest(letters.ids) with ordinality i(id, position)
    left join messages.outbox o on o.id = i.id
    left join messages.contact c on c.id = o.contact_id
    left join messages.broadcast b on b.id = o.broadcast_id
    left join lateral (
      select x.language, x.subject, x.body
        from messages.template x
       cross join lateral (
         select array_position(array[c.language, split_part(c.language, '-', 1), 'en'], x.language) as rank) l
       where x.kind = o.kind and x.channel = o.channel and (l.rank is not null or b.id is not null)
         and (b.started_at is null or x.created_at <= b.started_at)
       order by l.rank, x.language, x.number desc
       limit 1) t on true;
end
$$;
