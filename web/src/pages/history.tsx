import { ApiError, get } from '../api/client';
import { href } from '../app/router';
import { settings } from '../app/settings';
import { ago, stamp } from '../format/time';
import { thousands } from '../format/value';
import { Badge, Labels, Loaded, useLoad, Virtual } from '../ui/parts';
import { matcherText, type Matcher } from './silence_link';

// What was told to whom, and what fired and resolved, newest first, as the server remembers it.
interface Sent {
  time: string;
  receiver: string;
  integration: string;
  groupKey: string;
  outcome: string;
  error?: string;
  firing: number;
  resolved: number;
  attempts: number;
}
interface Event {
  time: string;
  state: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt?: string;
  generatorURL: string;
}

const LIMIT = '10000';

async function newestFirst<T>(path: string, values: Record<string, string | string[]>, signal: AbortSignal): Promise<T[] | null> {
  try {
    const start = String(Math.floor(Date.now() / 1000 - 5 * 86_400));
    return (await get<T[]>(path, { start, limit: LIMIT, ...values }, signal)).data.reverse();
  } catch (e) {
    if (e instanceof ApiError && e.status === 404) return null;
    throw e;
  }
}

const NotKept = () => <div class="card empty">This server keeps no history of alerts.</div>;
const TONES: Record<string, 'ok' | 'bad' | 'warn'> = { sent: 'ok', failed: 'bad' };

export function SentList({ search }: { search: string }) {
  const load = useLoad((signal) => newestFirst<Sent>('history/notifications', {}, signal), [], 10);
  const utc = settings.value.timezone === 'utc';
  return (
    <Loaded load={load}>
      {(all) => {
        if (all === null) return <NotKept />;
        const words = search.toLowerCase().split(/\s+/).filter(Boolean);
        const found = all.filter((s) => words.every((w) => `${s.receiver} ${s.integration} ${s.groupKey} ${s.outcome} ${s.error ?? ''}`.toLowerCase().includes(w)));
        const failed = all.filter((s) => s.outcome !== 'sent').length;
        return (
          <section class="card history" data-sent={found.length}>
            <div class="card-head dim">
              <span><b class="strong">{thousands(all.length)}</b> notifications in five days</span>
              {failed > 0 && <Badge tone="bad">{thousands(failed)} not delivered</Badge>}
            </div>
            <div class="sent-row head" aria-hidden="true"><span>When</span><span>Outcome</span><span>Receiver</span><span>Group</span><span class="num">Firing</span><span class="num">Resolved</span><span class="num">Tries</span></div>
            <Virtual count={found.length} rowHeight={44}>
              {(i) => {
                const s = found[i];
                return (
                  <div class="sent-row" key={s.time + s.groupKey + s.receiver + s.integration} data-outcome={s.outcome}>
                    <span class="nowrap mono">{stamp(Date.parse(s.time) / 1000, utc)}</span>
                    <span><Badge tone={TONES[s.outcome] ?? 'warn'}>{s.outcome}</Badge></span>
                    <span class="clip">{s.receiver} <span class="faint">{s.integration}</span></span>
                    <span class="clip"><span class="mono" title={s.groupKey}>{s.groupKey.replace(/^.*:(?=\{)/, '')}</span>{s.error && <small class="bad-text clip" title={s.error}>{s.error}</small>}</span>
                    <span class="num">{s.firing || ''}</span>
                    <span class="num">{s.resolved || ''}</span>
                    <span class="num dim">{s.attempts}</span>
                  </div>
                );
              }}
            </Virtual>
            {found.length === 0 && <div class="empty">{all.length === 0 ? 'Nothing was sent yet.' : 'No notification fits this filter.'}</div>}
          </section>
        );
      }}
    </Loaded>
  );
}

export function FiredList({ matchers }: { matchers: Matcher[] }) {
  const filter = matchers.map(matcherText);
  const load = useLoad((signal) => newestFirst<Event>('history/alerts', { filter }, signal), [filter.join()], 10);
  const utc = settings.value.timezone === 'utc';
  return (
    <Loaded load={load}>
      {(all) => {
        if (all === null) return <NotKept />;
        const now = Date.now() / 1000;
        return (
          <section class="card history" data-fired={all.length}>
            <div class="card-head dim"><span><b class="strong">{thousands(all.length)}</b> changes in five days</span></div>
            <Virtual count={all.length} rowHeight={44}>
              {(i) => {
                const e = all[i];
                const lasted = e.endsAt ? (Date.parse(e.endsAt) - Date.parse(e.startsAt)) / 1000 : 0;
                const at = Date.parse(e.startsAt) / 1000;
                const expr = /[?&]g0\.expr=([^&]*)/.exec(e.generatorURL)?.[1];
                return (
                  <div class="fired-row" key={e.time + JSON.stringify(e.labels)} data-event={e.state}>
                    <span class="nowrap mono" title={ago(Date.parse(e.time) / 1000, now)}>{stamp(Date.parse(e.time) / 1000, utc)}</span>
                    <span><Badge tone={e.state === 'firing' ? 'bad' : 'ok'}>{e.state}</Badge></span>
                    <span class="fired-what">
                      <span class="one-line"><b>{e.labels.alertname}</b> <Labels labels={e.labels} hide={['alertname']} /></span>
                      <small class="dim clip">{e.annotations.summary ?? e.annotations.description ?? ''}</small>
                    </span>
                    <span class="num dim nowrap">{e.state === 'resolved' ? `after ${ago(0.001, lasted + 0.001).replace(' ago', '')}` : ''}</span>
                    <span class="num">
                      {expr && <a href={href(`/query?g0.expr=${expr}&g0.tab=graph&g0.range_input=1h&g0.end_input=${encodeURIComponent(stamp(Math.min(now, at + 1800), true))}`)}>evidence</a>}
                    </span>
                  </div>
                );
              }}
            </Virtual>
            {all.length === 0 && <div class="empty">Nothing has fired{filter.length > 0 ? ' that fits this filter' : ''}.</div>}
          </section>
        );
      }}
    </Loaded>
  );
}
