import { useEffect, useState } from 'preact/hooks';
import { ApiError, plain } from '../api/client';
import { mayChange } from '../app/access';
import { go, href, params, path } from '../app/router';
import { settings } from '../app/settings';
import { ago, parseDuration, stamp } from '../format/time';
import { Icon } from '../ui/icons';
import { Badge, Failure, Labels, Loaded, Page, useLoad } from '../ui/parts';
import { missing, NoAlertmanager, type AmAlert } from './notifications';
import { matcherText, parseFilter, type Matcher } from './silence_link';
import { SubNav } from './subnav';

interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
  status: { state: 'active' | 'pending' | 'expired' };
  recurrence?: { weekdays?: string[]; times?: { start_time: string; end_time: string }[] };
}

const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

const send = (method: string, body?: unknown): RequestInit => ({ method, headers: { 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) });

function Form({ start }: { start: Matcher[] }) {
  const [text, setText] = useState(start.map(matcherText).join(', '));
  const [length, setLength] = useState('2h');
  const [author, setAuthor] = useState(localStorage.getItem('vedette.author') ?? '');
  const [comment, setComment] = useState('');
  const [weekly, setWeekly] = useState(false);
  const [week, setWeek] = useState<string[]>(['saturday', 'sunday']);
  const [hours, setHours] = useState(['00:00', '24:00']);
  const [hit, setHit] = useState<AmAlert[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const matchers = parseFilter(text);
  const seconds = parseDuration(length);
  useEffect(() => {
    if (!matchers || matchers.length === 0) {
      setHit(null);
      return;
    }
    const abort = new AbortController();
    const query = new URLSearchParams();
    for (const m of matchers) query.append('filter', matcherText(m));
    plain<AmAlert[]>('api/v2/alerts?' + query, { signal: abort.signal }).then(setHit, (e) => !abort.signal.aborted && setError(e));
    return () => abort.abort();
  }, [text]);
  const problem = !matchers || matchers.length === 0 ? 'name at least one matcher' : !seconds ? 'how long? 30m, 2h, 7d' : author === '' ? 'say who you are' : comment === '' ? 'say why' : weekly && (week.length === 0 || !hours.every((h) => /^([01]\d|2[0-4]):[0-5]\d$/.test(h))) ? 'which days, and from when to when? 22:00 to 24:00' : null;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (problem !== null) return;
    try {
      localStorage.setItem('vedette.author', author);
      const now = Date.now();
      const made = await plain<{ silenceID: string }>(
        'api/v2/silences',
        send('POST', { matchers, startsAt: new Date(now).toISOString(), endsAt: new Date(now + seconds! * 1000).toISOString(), createdBy: author, comment, ...(weekly && { recurrence: { weekdays: week, times: [{ start_time: hours[0], end_time: hours[1] }], location: Intl.DateTimeFormat().resolvedOptions().timeZone } }) }),
      );
      go(`/silences/${made.silenceID}`);
    } catch (e) {
      setError(e as ApiError);
    }
  };
  return (
    <form class="card pad silence-form" onSubmit={save}>
      <label>
        Matchers
        <textarea class="mono" rows={3} aria-label="Matchers" value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </label>
      <div class="line">
        <label>
          For
          <input aria-label="Duration" value={length} onInput={(e) => setLength(e.currentTarget.value)} />
        </label>
        {['30m', '2h', '8h', '1d', '7d'].map((d) => (
          <button type="button" class="quiet" key={d} onClick={() => setLength(d)}>
            {d}
          </button>
        ))}
      </div>
      <label class="check">
        <input type="checkbox" data-recurring checked={weekly} onChange={(e) => (setWeekly(e.currentTarget.checked), e.currentTarget.checked && setLength('30d'))} /> only in these hours of the week
      </label>
      {weekly && (
        <div class="line" role="group" aria-label="Hours of the week">
          {DAYS.map((d) => (
            <label class="check" key={d}>
              <input type="checkbox" checked={week.includes(d)} onChange={() => setWeek(week.includes(d) ? week.filter((x) => x !== d) : [...week, d])} /> {d.slice(0, 3)}
            </label>
          ))}
          <input aria-label="From" size={5} value={hours[0]} onInput={(e) => setHours([e.currentTarget.value, hours[1]])} />
          to
          <input aria-label="To" size={5} value={hours[1]} onInput={(e) => setHours([hours[0], e.currentTarget.value])} />
        </div>
      )}
      <label>
        Who
        <input aria-label="Author" value={author} onInput={(e) => setAuthor(e.currentTarget.value)} />
      </label>
      <label>
        Why
        <textarea rows={2} aria-label="Comment" value={comment} onInput={(e) => setComment(e.currentTarget.value)} />
      </label>
      {error && <Failure error={error} />}
      <div class="line">
        <button type="submit" class="primary" disabled={problem !== null}>
          Silence {hit ? `${hit.length} alerts` : ''}
        </button>
        <span class="dim" data-silence-preview={hit?.length ?? ''}>
          {problem ?? (hit ? `affects ${hit.length} alerts now` : '')}
        </span>
      </div>
      {hit?.slice(0, 20).map((a) => (
        <div key={a.fingerprint}>
          <Labels labels={a.labels} />
        </div>
      ))}
    </form>
  );
}

export function Silences() {
  const rest = path.value.replace(/^\/silences\/?/, '');
  const load = useLoad(
    async (signal) => {
      try {
        return await plain<Silence[]>('api/v2/silences', { signal });
      } catch (e) {
        if (missing(e)) return null;
        throw e;
      }
    },
    [rest],
    15,
  );
  const utc = settings.value.timezone === 'utc';
  const isNew = rest === 'new';
  const filter = params.value.get('filter') ?? '';
  return (
    <Page
      name="silences"
      title={isNew ? 'New silence' : 'Silences'}
      aside={
        !isNew && load.data && mayChange() ? (
          <a class="button" href={href('/silences/new')}>
            <Icon name="plus" size={14} /> New silence
          </a>
        ) : undefined
      }
    >
      <SubNav of="alerts" />
      <Loaded load={load}>
        {(all) => {
          if (all === null) return <NoAlertmanager />;
          if (isNew) return <Form key={filter} start={parseFilter(filter) ?? []} />;
          const list = (rest === '' ? all : all.filter((s) => s.id === rest)).slice().sort((a, b) => Number(a.status.state === 'expired') - Number(b.status.state === 'expired') || b.endsAt.localeCompare(a.endsAt));
          if (list.length === 0) return <div class="card empty">{rest === '' ? 'No silences.' : 'There is no such silence.'}</div>;
          const now = Date.now() / 1000;
          return (
            <section class="card table-scroll">
              <table>
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Matchers</th>
                    <th scope="col">Why</th>
                    <th scope="col">Who</th>
                    <th scope="col">Ends</th>
                    <th scope="col" />
                  </tr>
                </thead>
                <tbody>
                  {list.map((s) => (
                    <tr key={s.id} data-silence={s.id} data-state={s.status.state}>
                      <td>
                        <Badge tone={s.status.state === 'active' ? 'accent' : 'unknown'}>{s.status.state}</Badge>
                      </td>
                      <td class="mono wrap">{s.matchers.map(matcherText).join(', ')}</td>
                      <td class="wrap">
                        {s.comment}
                        {s.recurrence && <div class="dim">{[...(s.recurrence.weekdays ?? []), ...(s.recurrence.times ?? []).map((t) => `${t.start_time} to ${t.end_time}`)].join(', ')}</div>}
                      </td>
                      <td>{s.createdBy}</td>
                      <td class="nowrap" title={stamp(Date.parse(s.endsAt) / 1000, utc)}>
                        {ago(Date.parse(s.endsAt) / 1000, now)}
                      </td>
                      <td class="num nowrap">
                        {s.status.state === 'expired' ? (
                          <a href={href(`/silences/new?filter=${encodeURIComponent(`{${s.matchers.map(matcherText).join(', ')}}`)}`)}>again</a>
                        ) : !mayChange() ? null : (
                          <button type="button" class="quiet" onClick={() => void plain(`api/v2/silence/${s.id}`, send('DELETE')).then(load.again, load.again)}>
                            Expire
                          </button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
