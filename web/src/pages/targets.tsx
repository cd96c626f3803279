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

export function Targets() {
  const load = useLoad((signal) => get<{ activeTargets: Target[] }>('targets', { state: 'active' }, signal).then((a) => a.data.activeTargets), [], 10);
  const search = params.value.get('search') ?? '';
  const health = (params.value.get('health') ?? 'all') as 'all' | 'up' | 'down' | 'unknown';
  const pool = params.value.get('scrapePool') ?? '';
  return (
    <Page
      name="targets"
      title="Targets"
      aside={
        <>
          <Segments label="Health" value={health} options={[['all', 'All'], ['up', 'Up'], ['down', 'Down'], ['unknown', 'Unknown']]} onPick={(v) => setParams({ health: v === 'all' ? '' : v })} />
          <select aria-label="Scrape pool" value={pool} onChange={(e) => setParams({ scrapePool: e.currentTarget.value })}>
            <option value="">All pools</option>
            {[...new Set((load.data ?? []).map((t) => t.scrapePool))].sort().map((p) => (
              <option key={p}>{p}</option>
            ))}
          </select>
          <Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter targets" placeholder="Filter by address or label" />
        </>
      }
    >
      <SubNav of="targets" />
      <Loaded load={load}>
        {(targets) => {
          const words = search.toLowerCase().split(/\s+/).filter(Boolean);
          const found = targets.filter((t) => {
            if (health !== 'all' && t.health !== health) return false;
            if (pool !== '' && t.scrapePool !== pool) return false;
            if (words.length === 0) return true;
            const text = `${t.scrapeUrl} ${t.scrapePool} ${t.health} ${Object.entries(t.labels).map(([k, v]) => `${k}=${v}`).join(' ')}`.toLowerCase();
            return words.every((w) => text.includes(w));
          });
          const order = { down: 0, unknown: 1, up: 2 };
          found.sort((a, b) => a.scrapePool.localeCompare(b.scrapePool) || order[a.health] - order[b.health] || a.scrapeUrl.localeCompare(b.scrapeUrl));
          const now = Date.now() / 1000;
          const up = targets.filter((t) => t.health === 'up').length;
          if (targets.length === 0) {
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
                  <b class="strong">{up}</b> of {targets.length} up
                </span>
                {found.length !== targets.length && <span>· {found.length} shown</span>}
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
              {found.length === 0 && <div class="empty">No target fits this filter.</div>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
