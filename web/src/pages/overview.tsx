import { get, query, queryRange, type MatrixSeries } from '../api/client';
import { mayChange } from '../app/access';
import { href } from '../app/router';
import { settings } from '../app/settings';
import { about, ago, stamp } from '../format/time';
import { number, short, thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { Badge, Labels, Loaded, Page, useLoad } from '../ui/parts';
import type { AlertInstance } from './rules_data';
import { silenceLink } from './silence_link';
import { Tile } from './status';
import type { Target } from './targets';

// One look over the fleet: what is up, what burns, how full and how busy the nodes are.

const BEATS = 48;
const ALERTS = 8;
const DAY = 86_400;

interface NodeRow {
  instance: string;
  cpu?: number;
  memory?: number;
  disk?: number;
  load?: number;
}

const NODE: [keyof NodeRow, string][] = [
  ['cpu', '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))'],
  ['memory', '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes'],
  ['disk', 'max by (instance) (1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|overlay"} / node_filesystem_size_bytes)'],
  ['load', 'node_load1'],
];

async function vector(expr: string, signal: AbortSignal): Promise<{ metric: Record<string, string>; value: number }[]> {
  const { data } = await query(expr, Date.now() / 1000, signal);
  return data.resultType === 'vector' ? data.result.map((s) => ({ metric: s.metric, value: number(s.value?.[1] ?? 'NaN') })) : [];
}

async function load(signal: AbortSignal) {
  const end = Math.floor(Date.now() / 1000 / 1800) * 1800 + 1800;
  const [targets, alerts, samples, series, mysql, beats, ...nodes] = await Promise.all([
    get<{ activeTargets: Target[] }>('targets', { state: 'active', discovered: 'false' }, signal).then((a) => a.data.activeTargets),
    get<{ alerts: AlertInstance[] }>('alerts', {}, signal).then((a) => a.data.alerts),
    vector('sum(scrape_samples_scraped)', signal).catch(() => []),
    get<{ headStats: { numSeries: number } }>('status/tsdb', {}, signal).then((a) => a.data.headStats.numSeries).catch(() => 0),
    vector('mysql_up', signal).catch(() => []),
    queryRange('min_over_time(up[30m])', end - DAY, end, DAY / BEATS, signal)
      .then((a) => (a.data.resultType === 'matrix' ? (a.data.result as MatrixSeries[]) : []))
      .catch(() => []),
    ...NODE.map(([, expr]) => vector(expr, signal).catch(() => [])),
  ]);
  const rows = new Map<string, NodeRow>();
  nodes.forEach((list, i) => {
    for (const s of list) {
      const instance = s.metric.instance ?? '';
      const row = rows.get(instance) ?? { instance };
      (row as unknown as Record<string, number>)[NODE[i][0]] = s.value;
      rows.set(instance, row);
    }
  });
  return { targets, alerts, samples: samples[0]?.value ?? 0, series, mysql, beats, end, nodes: [...rows.values()].sort((a, b) => (b.cpu ?? 0) - (a.cpu ?? 0)) };
}

function Gauge({ value, name }: { value?: number; name: string }) {
  if (value === undefined || !Number.isFinite(value)) return <span class="gauge faint">–</span>;
  const tone = value > 0.9 ? 'bad' : value > 0.75 ? 'warn' : 'ok';
  return (
    <span class="gauge" role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(value * 100)}>
      <i class={tone} style={{ width: `${Math.min(100, value * 100)}%` }} />
      <b>{(value * 100).toFixed(0)}%</b>
    </span>
  );
}

export function Beats({ series, end }: { series: MatrixSeries | undefined; end: number }) {
  const slots = new Array<number | null>(BEATS).fill(null);
  for (const [t, v] of series?.values ?? []) {
    const i = BEATS - 1 - Math.round((end - t) / (DAY / BEATS));
    if (i >= 0 && i < BEATS) slots[i] = number(v);
  }
  const up = slots.filter((s) => s !== null && s > 0).length;
  const known = slots.filter((s) => s !== null).length;
  return (
    <svg class="beats" viewBox={`0 0 ${BEATS * 4} 16`} preserveAspectRatio="none" role="img" aria-label={known === 0 ? 'no history' : `up in ${up} of ${known} half hours of the last day`}>
      {slots.map((s, i) => (
        <rect key={i} x={i * 4} y={s === null ? 5 : 1} width="3" height={s === null ? 6 : 14} rx="1" class={s === null ? 'none' : s > 0 ? 'ok' : 'bad'} />
      ))}
    </svg>
  );
}

function Checklist() {
  return (
    <section class="card empty first-run">
      <svg class="horizon" width="220" height="70" viewBox="0 0 220 70" fill="none" stroke="currentColor" stroke-width="1.600" aria-hidden="true">
        <path d="M4 60h212" opacity=".5" />
        <path d="M110 60 40 22M110 60l70-38" opacity=".35" stroke-dasharray="3 4" />
        <path d="M86 40s8-14 24-14 24 14 24 14-8 14-24 14-24-14-24-14Z" />
        <circle cx="110" cy="40" r="6" fill="currentColor" stroke="none" />
      </svg>
      <h2>Nothing is watched yet</h2>
      <ol>
        <li>
          Name targets under <code>scrape_configs</code>, or start <code>vedette-agent</code> on a node.
        </li>
        <li>
          Reload: <code>curl -X POST …/-/reload</code>, or send the server SIGHUP.
        </li>
        <li>
          See them come up under <a href={href('/targets')}>Targets</a>, and ask for <code>up</code> in <a href={href('/query?g0.expr=up')}>Explore</a>.
        </li>
        <li>
          Add <code>rule_files</code> to be told before your users tell you.
        </li>
      </ol>
    </section>
  );
}

export function Overview() {
  const state = useLoad(load, [], 15);
  return (
    <Page name="overview" title="Overview">
      <Loaded load={state}>
        {(d) => {
          if (d.targets.length === 0) return <Checklist />;
          const now = Date.now() / 1000;
          const down = d.targets.filter((t) => t.health === 'down');
          const firing = d.alerts.filter((a) => a.state === 'firing');
          const pending = d.alerts.length - firing.length;
          const mysqlDown = d.mysql.filter((m) => m.value === 0).length;
          const mean = (key: 'cpu' | 'memory' | 'disk', pick: 'avg' | 'max'): string => {
            const values = d.nodes.map((n) => n[key]).filter((v): v is number => v !== undefined && Number.isFinite(v));
            if (values.length === 0) return '–';
            const v = pick === 'max' ? Math.max(...values) : values.reduce((a, b) => a + b, 0) / values.length;
            return `${(v * 100).toFixed(0)}%`;
          };
          const beat = new Map(d.beats.map((b) => [`${b.metric.job}\n${b.metric.instance}`, b]));
          const rank = { down: 0, unknown: 1, up: 2 };
          const shown = d.targets.slice().sort((a, b) => rank[a.health] - rank[b.health] || a.scrapePool.localeCompare(b.scrapePool)).slice(0, 60);
          return (
            <>
              <div class="tiles">
                <Tile name="Targets up" value={`${d.targets.length - down.length}/${d.targets.length}`} tone={down.length > 0 ? 'bad' : 'ok'} note={down.length > 0 ? `${down.length} down` : 'all answer'} />
                <Tile name="Firing" value={firing.length} tone={firing.length > 0 ? 'bad' : 'ok'} note={pending > 0 ? `${pending} pending` : 'none pending'} />
                <Tile name="CPU" value={mean('cpu', 'avg')} note={`mean of ${d.nodes.length} nodes`} />
                <Tile name="Memory" value={mean('memory', 'avg')} note="mean" />
                <Tile name="Fullest disk" value={mean('disk', 'max')} note="of all nodes" />
                {d.mysql.length > 0 && <Tile name="MySQL up" value={`${d.mysql.length - mysqlDown}/${d.mysql.length}`} tone={mysqlDown > 0 ? 'bad' : 'ok'} />}
                <Tile name="Series" value={short(d.series)} note={`${thousands(d.samples)} samples a scrape`} />
              </div>
              <div class="overview-grid">
                <section class="card">
                  <div class="card-head">
                    <h2>Alerts</h2>
                    <a class="aside" href={href('/alerts')}>
                      All rules
                    </a>
                  </div>
                  {d.alerts.length === 0 && (
                    <div class="empty">
                      <Icon name="check" size={22} />
                      Nothing is firing or pending.
                    </div>
                  )}
                  <table>
                    <tbody>
                      {firing.concat(d.alerts.filter((a) => a.state !== 'firing')).slice(0, ALERTS).map((a) => (
                        <tr key={JSON.stringify(a.labels)}>
                          <td>
                            <Badge tone={a.state === 'firing' ? 'bad' : 'warn'}>{a.state}</Badge>
                          </td>
                          <td class="overview-alert">
                            <div class="one-line">
                              <b>{a.labels.alertname}</b> <Labels labels={a.labels} hide={['alertname']} />
                            </div>
                            <div class="dim clip">{a.annotations?.summary ?? a.annotations?.description}</div>
                          </td>
                          <td class="num dim nowrap">{ago(Date.parse(a.activeAt) / 1000, now)}</td>
                          <td class="num">
                            {mayChange() && (
                              <a href={silenceLink(a.labels)} aria-label={`Silence ${a.labels.alertname}`} title="Silence">
                                <Icon name="mute" />
                              </a>
                            )}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                  {d.alerts.length > ALERTS && (
                    <p class="faint pad">
                      +{d.alerts.length - ALERTS} more, all under <a href={href('/alerts')}>Alerts</a>
                    </p>
                  )}
                </section>
                <section class="card">
                  <div class="card-head">
                    <h2>Nodes</h2>
                    <a class="aside" href={href('/d/vedette-host')}>
                      Host dashboard
                    </a>
                  </div>
                  {d.nodes.length === 0 && <div class="empty">No host metrics yet: run an agent or a node exporter.</div>}
                  {d.nodes.length > 0 && (
                    <table>
                      <thead>
                        <tr>
                          <th scope="col">Node</th>
                          <th scope="col">CPU</th>
                          <th scope="col">Memory</th>
                          <th scope="col">Disk</th>
                          <th scope="col" class="num">
                            Load
                          </th>
                        </tr>
                      </thead>
                      <tbody>
                        {d.nodes.slice(0, 20).map((n) => (
                          <tr key={n.instance}>
                            <td class="mono clip">
                              <a href={href(`/d/vedette-host?var-instance=${encodeURIComponent(n.instance)}`)}>{n.instance}</a>
                            </td>
                            <td>
                              <Gauge name="CPU" value={n.cpu} />
                            </td>
                            <td>
                              <Gauge name="Memory" value={n.memory} />
                            </td>
                            <td>
                              <Gauge name="Disk" value={n.disk} />
                            </td>
                            <td class="num">{n.load?.toFixed(2) ?? '–'}</td>
                          </tr>
                        ))}
                      </tbody>
                    </table>
                  )}
                </section>
                <section class="card span">
                  <div class="card-head">
                    <h2>Targets, last 24 hours</h2>
                    <span class="faint">until {stamp(now, settings.value.timezone === 'utc')}</span>
                    <a class="aside" href={href('/targets')}>
                      All targets
                    </a>
                  </div>
                  <div class="beat-list">
                    {shown.map((t) => (
                      <div class="beat-row" key={t.scrapePool + t.labels.instance}>
                        <Badge tone={t.health === 'up' ? 'ok' : t.health === 'down' ? 'bad' : 'unknown'}>{t.health}</Badge>
                        <span class="clip" title={t.lastError || t.scrapeUrl}>
                          <b>{t.labels.job}</b> <span class="mono dim">{t.labels.instance}</span>
                        </span>
                        <Beats series={beat.get(`${t.labels.job}\n${t.labels.instance}`)} end={d.end} />
                        <span class="num faint">{about(t.lastScrapeDuration)}</span>
                      </div>
                    ))}
                  </div>
                  {d.targets.length > shown.length && <p class="faint pad">+{d.targets.length - shown.length} more</p>}
                </section>
              </div>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

