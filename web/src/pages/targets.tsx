import { useMemo, useRef, useState } from 'preact/hooks';
import { get } from '../api/client';
import { params, href, setParams } from '../app/router';
import { about, ago } from '../format/time';
import { Badge, Filter, Labels, Loaded, Page, Segments, useLoad, Virtual, type Tone } from '../ui/parts';
import { SubNav } from './subnav';

export interface Target {
  discoveredLabels: Record<string, string>;
  labels: Record<string, string>;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: 'up' | 'down' | 'unknown';
  // Of an agent.
  sources?: { name: string; up: boolean; error: string; durationSeconds: number }[];
  snapshotsFilled?: number;
  lastFilled?: string;
}

const TONE: Record<string, Tone> = { up: 'ok', down: 'bad', unknown: 'unknown' };

interface Seen {
  list: Target[];
  counts: Record<string, number>;
}

const FIRST = 100;

// The first time the top of the list comes before the rest: with thousands of targets that is much sooner.
async function load(signal: AbortSignal, part: ((seen: Seen) => void) | null): Promise<Seen> {
  const ask = (more: Record<string, string>) => get<{ activeTargets: Target[]; activeTargetCounts?: Record<string, number> }>('targets', { state: 'active', discovered: 'false', ...more }, signal).then((a) => a.data);
  if (part) {
    const top = await ask({ limit: String(FIRST) });
    const counts = top.activeTargetCounts ?? countsOf(top.activeTargets);
    if (top.activeTargets.length >= sum(counts)) return { list: top.activeTargets, counts };
    part({ list: top.activeTargets, counts });
  }
  const { activeTargets: list } = await ask({});
  return { list: list.sort(inOrder), counts: countsOf(list) };
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

function countsOf(list: Target[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const t of list) counts[t.health] = (counts[t.health] ?? 0) + 1;
  return counts;
}

const RANK = { down: 0, unknown: 1, up: 2 };
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
// As the server orders the top of the list.
const inOrder = (a: Target, b: Target): number => order(a.scrapePool, b.scrapePool) || RANK[a.health] - RANK[b.health] || order(a.scrapeUrl, b.scrapeUrl);

// What a filter looks through; made once for each target.
const texts = new WeakMap<Target, string>();
function textOf(t: Target): string {
  const known = texts.get(t);
  if (known !== undefined) return known;
  const made = `${t.scrapeUrl} ${t.scrapePool} ${t.health} ${Object.entries(t.labels).map(([k, v]) => `${k}=${v}`).join(' ')}`.toLowerCase();
  texts.set(t, made);
  return made;
}

export function Targets() {
  const [top, setTop] = useState<Seen | null>(null);
  const many = useRef(false);
  const whole = useLoad((signal) => load(signal, many.current ? null : (seen) => !signal.aborted && ((many.current = true), setTop(seen))), [], 10);
  const shown = whole.data === undefined && whole.state === 'loading' && top !== null ? { state: 'ok' as const, data: top, again: whole.again } : whole;
  const search = params.value.get('search') ?? '';
  const health = (params.value.get('health') ?? 'all') as 'all' | 'up' | 'down' | 'unknown';
  const pool = params.value.get('scrapePool') ?? '';
  const list = shown.data?.list;
  const pools = useMemo(() => [...new Set((list ?? []).map((t) => t.scrapePool))].sort(), [list]);
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return (list ?? []).filter((t) => (health === 'all' || t.health === health) && (pool === '' || t.scrapePool === pool) && (words.length === 0 || words.every((w) => textOf(t).includes(w))));
  }, [list, search, health, pool]);
  return (
    <Page
      name="targets"
      title="Targets"
      aside={
        <>
          <Segments label="Health" value={health} options={[['all', 'All'], ['up', 'Up'], ['down', 'Down'], ['unknown', 'Unknown']]} onPick={(v) => setParams({ health: v === 'all' ? '' : v })} />
          <select aria-label="Scrape pool" value={pool} onChange={(e) => setParams({ scrapePool: e.currentTarget.value })}>
            <option value="">All pools</option>
            {pools.map((p) => (
              <option key={p}>{p}</option>
            ))}
          </select>
          <Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter targets" placeholder="Filter by address or label" />
        </>
      }
    >
      <SubNav of="targets" />
      <Loaded load={shown}>
        {({ list: targets, counts }) => {
          const now = Date.now() / 1000;
          const all = sum(counts);
          if (all === 0) {
            return (
              <div class="card empty">
                <h2>No targets yet</h2>
                <p>
                  Name some under <code>scrape_configs</code> and reload the configuration. <a href={href('/config')}>See what is loaded</a>.
                </p>
              </div>
            );
          }
          return (
            <section class="card">
              <div class="card-head dim">
                <span>
                  <b class="strong">{counts.up ?? 0}</b> of {all} up
                </span>
                {found.length !== targets.length && <span>· {found.length} shown</span>}
                {targets.length < all && <span class="faint">· the others are on their way</span>}
              </div>
              <div class="target-row head" aria-hidden="true">
                <span>State</span>
                <span>Pool</span>
                <span>Endpoint</span>
                <span>Labels</span>
                <span class="num">Last scrape</span>
                <span class="num">Took</span>
              </div>
              <Virtual count={found.length} rowHeight={46}>
                {(i) => {
                  const t = found[i];
                  return (
                    <div class="target-row" key={t.scrapePool + t.scrapeUrl + JSON.stringify(t.labels)} data-target={t.labels.instance} data-health={t.health}>
                      <span>
                        <Badge tone={TONE[t.health]}>{t.health}</Badge>
                      </span>
                      <span class="clip">{t.scrapePool}</span>
                      <span class="clip">
                        <a class="mono" data-plain href={/^https?:/.test(t.globalUrl || t.scrapeUrl) ? t.globalUrl || t.scrapeUrl : undefined} rel="noreferrer">
                          {t.scrapeUrl}
                        </a>
                        {t.lastError && (
                          <small class="bad-text clip" title={t.lastError}>
                            {t.lastError}
                          </small>
                        )}
                      </span>
                      <span class="target-labels" title={Object.entries(t.labels).map(([k, v]) => `${k}="${v}"`).join('\n')}>
                        <Labels labels={t.labels} onPick={(k, v) => setParams({ search: `${k}=${v}` })} />
                      </span>
                      <span class="num dim">{ago(Date.parse(t.lastScrape) / 1000, now)}</span>
                      <span class="num dim">{about(t.lastScrapeDuration)}</span>
                    </div>
                  );
                }}
              </Virtual>
              {found.length === 0 && targets.length === all && <div class="empty">No target fits this filter.</div>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
