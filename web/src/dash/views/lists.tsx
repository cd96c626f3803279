// Panels that list what the server knows besides samples: dashboards and alerts.
import { get, plain } from '../../api/client';
import { href } from '../../app/router';
import { ago } from '../../format/time';
import { Badge, Labels, Loaded, useLoad } from '../../ui/parts';
import type { Panel } from '../model';

interface Found {
  uid: string;
  title: string;
  tags: string[];
}

export function DashList({ panel, fill }: { panel: Panel; fill: (text: string) => string }) {
  const o = { ...panel.source, ...panel.options };
  const load = useLoad((signal) => plain<Found[]>('api/search?type=dash-db', { signal }), []);
  const tags: string[] = Array.isArray(o.tags) ? o.tags.map((t: unknown) => fill(String(t))) : [];
  const words = fill(String(o.query ?? '')).toLowerCase();
  return (
    <div class="panel-list" tabIndex={0}>
      <Loaded load={load}>
        {(all) => {
          const found = all.filter((d) => tags.every((t) => d.tags.includes(t)) && d.title.toLowerCase().includes(words)).slice(0, Number(o.maxItems ?? o.limit) || 30);
          return found.length === 0 ? <div class="panel-message">No dashboard fits.</div> : <ul>{found.map((d) => <li key={d.uid}><a href={href(`/d/${encodeURIComponent(d.uid)}`)}>{d.title}</a>{d.tags.map((t) => <span class="label" key={t}>{t}</span>)}</li>)}</ul>;
        }}
      </Loaded>
    </div>
  );
}

interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: string;
  activeAt: string;
}

export function AlertList({ panel, fill }: { panel: Panel; fill: (text: string) => string }) {
  const o = panel.options;
  const load = useLoad((signal) => get<{ alerts: Alert[] }>('alerts', {}, signal).then((a) => a.data.alerts), [], 15);
  const words = fill(String(o.alertName ?? o.alertInstanceLabelFilter ?? '')).toLowerCase();
  const now = Date.now() / 1000;
  return (
    <div class="panel-list" tabIndex={0}>
      <Loaded load={load}>
        {(all) => {
          const state = o.stateFilter;
          const found = all
            .filter((a) => (!state || state[a.state] !== false) && JSON.stringify(a.labels).toLowerCase().includes(words.replace(/^\{|\}$/g, '')))
            .sort((a, b) => (a.state === b.state ? b.activeAt.localeCompare(a.activeAt) : a.state === 'firing' ? -1 : 1))
            .slice(0, Number(o.maxItems) || 50);
          return found.length === 0 ? <div class="panel-message">Nothing is firing or pending.</div> : <ul>{found.map((a) => <li key={JSON.stringify(a.labels)}><Badge tone={a.state === 'firing' ? 'bad' : 'warn'}>{a.state}</Badge><a href={href(`/alerts?search=${encodeURIComponent(a.labels.alertname ?? '')}`)}><b>{a.labels.alertname}</b></a> <Labels labels={a.labels} hide={['alertname']} /><span class="faint">{ago(Date.parse(a.activeAt) / 1000, now)}</span></li>)}</ul>;
        }}
      </Loaded>
    </div>
  );
}
