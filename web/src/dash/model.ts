// Grafana's dashboard JSON, old and new, as one kind of panel. What the file says is only read.
import { parseDuration } from '../format/time';
import { objects as list, standsFor, upgrade } from './legacy';
import { SOURCE } from './interpolate';
import { foreign, isExpression, kindsIn, type Kinds } from './source';
import type { Transformation } from './transform';

export type Json = any; // eslint-disable-line

export interface Target {
  refId: string;
  expr: string;
  legend: string;
  instant: boolean;
  range: boolean;
  both: boolean; // Instant and range at once.
  format: string;
  interval: string;
  factor: number;
  hide: boolean;
  panel: string; // Not empty: what this other panel asks.
  withTransforms: boolean;
  math: Json | null; // What Grafana would compute from other queries, instead of asking.
  foreign: string; // Not empty: asks a source of this name, which is not here.
  exemplar: boolean;
}

// Whether there is anything to ask or to compute.
export const asks = (t: Target): boolean => t.expr !== '' || t.math !== null;

export interface Override {
  matcher: { id: string; options: Json };
  properties: { id: string; value: Json }[];
}

export interface Panel {
  id: string;
  type: string;
  title: string;
  description: string;
  grid: { x: number; y: number; w: number; h: number };
  targets: Target[];
  defaults: Json;
  overrides: Override[];
  options: Json;
  transformations: Transformation[];
  interval: string;
  maxDataPoints: number | null;
  timeFrom: string;
  timeShift: string;
  hideTime: boolean;
  foreign: string; // Not empty: every query asks a source that is not here.
  repeat: string;
  repeatDirection: 'h' | 'v';
  maxPerRow: number;
  links: Json[];
  transparent: boolean;
  source: Json;
  problem: string; // Not empty: why it cannot be read.
  standsFor: string; // Not empty: a plug-in, or a panel of Grafana, that is not drawn here as there.
}

export interface Row {
  key: string;
  title: string;
  collapsed: boolean;
  repeat: string;
  panels: Panel[];
  implicit: boolean; // Panels above the first row.
}

export interface Variable {
  name: string;
  label: string;
  type: string;
  query: string;
  regex: string;
  sort: number;
  multi: boolean;
  includeAll: boolean;
  allValue: string;
  hide: number;
  refresh: number;
  options: { text: string; value: string }[];
  current: Json;
  auto: boolean;
  autoCount: number;
  autoMin: number;
  filters: { key: string; operator: string; value: string }[];
  description: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  rows: Row[];
  variables: Variable[];
  from: string;
  to: string;
  refresh: string;
  timezone: string;
  tags: string[];
  links: Json[];
  sharedTooltip: boolean;
  annotations: Annotation[];
  inputs: Record<string, string>; // What the file wants to be asked for when it is taken in.
}

export interface Annotation {
  name: string;
  expr: string;
  color: string;
  enabled: boolean;
  hidden: boolean;
  title: string;
  text: string;
  tagKeys: string[];
  step: string;
  valueForTime: boolean;
  panels: { ids: string[]; except: boolean } | null; // Null: on all of them.
}

const count = (v: Json, otherwise: number): number => (v === null || v === undefined || !Number.isFinite(Number(v)) ? otherwise : Math.max(0, Math.round(Number(v))));
const text = (v: Json): string => (v === undefined || v === null ? '' : String(v));

function target(raw: Json, index: number, panelSource: Json, kinds: Kinds): Target {
  const t = raw && typeof raw === 'object' ? raw : {};
  const source = t.datasource ?? panelSource;
  const math = isExpression(source, kinds) ? t : null;
  const elsewhere = math ? '' : foreign(source, kinds);
  return {
    refId: typeof t.refId === 'string' && t.refId !== '' ? t.refId : String.fromCharCode(65 + (index % 26)),
    expr: math || elsewhere !== '' || typeof t.expr !== 'string' ? '' : t.expr,
    legend: text(t.legendFormat),
    instant: t.instant === true && t.range !== true,
    both: t.instant === true && t.range === true,
    range: t.range === true,
    format: t.format ?? 'time_series',
    interval: text(t.interval),
    factor: Number(t.intervalFactor) || 1,
    hide: t.hide === true,
    panel: t.panelId === undefined || t.panelId === null ? '' : String(t.panelId),
    withTransforms: t.withTransforms === true,
    math,
    foreign: elsewhere,
    exemplar: t.exemplar === true,
  };
}

// A panel of a library is in the file where the file was made to be given away: as a model of its own, or
// among the elements.
function whole(p: Json, elements: Json): Json {
  const library = p.libraryPanel;
  if (!library || typeof library !== 'object') return p;
  const model = library.model ?? (typeof library.uid === 'string' && elements && Object.hasOwn(elements, library.uid) ? elements[library.uid]?.model : undefined);
  if (!model || typeof model !== 'object') return p;
  return { ...model, id: p.id, gridPos: p.gridPos ?? model.gridPos, title: p.title || model.title, repeat: p.repeat ?? model.repeat, span: p.span };
}

// Panels without an id, or with one that is taken, get one of their own.
let loose = 0;
let taken = new Set<string>();

// What the whole file says to its panels.
interface About {
  kinds: Kinds;
  elements: Json;
}

function idOf(id: Json): string {
  const own = id === undefined || id === null || taken.has(String(id)) ? `x${loose++}` : String(id);
  taken.add(own);
  return own;
}

const BARE = ['id', 'title', 'gridPos', 'type'];

// A panel that cannot be read is one panel in error, not the end of its dashboard.
function panel(written: Json, about: About, grid?: Panel['grid']): Panel {
  try {
    return read(written, about, grid);
  } catch (e) {
    const bare = Object.fromEntries(BARE.filter((k) => written?.[k] !== undefined).map((k) => [k, written[k]]));
    return { ...read({ ...bare, type: '', gridPos: typeof bare.gridPos === 'object' ? bare.gridPos : undefined }, about, grid), source: {}, problem: `This panel cannot be read: ${(e as Error).message}` };
  }
}

function read(written: Json, about: About, grid?: Panel['grid']): Panel {
  const p = whole(written && typeof written === 'object' ? written : {}, about.elements);
  const up = upgrade(p);
  const targets: Target[] = (Array.isArray(p.targets) ? p.targets : []).map((t: Json, i: number) => target(t, i, p.datasource, about.kinds));
  const asking = targets.filter((t) => t.math === null);
  const elsewhere = targets.length === 0 ? foreign(p.datasource, about.kinds) : asking.length > 0 && asking.every((t) => t.foreign !== '') ? asking[0].foreign : '';
  return {
    id: idOf(p.id),
    type: up.type,
    title: text(p.title),
    description: text(p.description),
    grid: grid ?? { x: count(p.gridPos?.x, 0), y: count(p.gridPos?.y, 0), w: count(p.gridPos?.w, 12), h: count(p.gridPos?.h, 8) },
    targets,
    foreign: elsewhere,
    hideTime: p.hideTimeOverride === true,
    defaults: up.defaults,
    overrides: up.overrides,
    options: up.options,
    transformations: [...(up.options.legacyTransform ? [up.options.legacyTransform] : []), ...list(p.transformations)],
    interval: text(p.interval),
    maxDataPoints: Number(p.maxDataPoints) || null,
    timeFrom: text(p.timeFrom),
    timeShift: text(p.timeShift),
    repeat: text(p.repeat).replace(/^\$\{?|\}$/g, ''),
    repeatDirection: p.repeatDirection === 'v' ? 'v' : 'h',
    maxPerRow: Number(p.maxPerRow) || (Number(p.minSpan) > 0 ? Math.max(1, Math.floor((p.gridPos ? 24 : 12) / Number(p.minSpan))) : 4),
    links: list(p.links),
    transparent: p.transparent === true,
    source: p,
    problem: '',
    standsFor: standsFor(p.type),
  };
}

// The newer editors write their parts beside the query, and sometimes only them.
function queryOf(v: Json): string {
  const q = v.query;
  if (typeof q === 'string') return q;
  if (q && typeof q === 'object') {
    if (typeof q.query === 'string' && q.query !== '') return q.query;
    const filters = (Array.isArray(q.labelFilters) ? q.labelFilters : []).map((f: Json) => `${text(f?.label)}${text(f?.op) || '='}"${text(f?.value)}"`).join(',');
    const selector = `${text(q.metric)}${filters === '' ? '' : `{${filters}}`}`;
    switch (q.qryType) {
      case 0: return `label_names(${text(q.match)})`;
      case 1: return `label_values(${selector === '' ? '' : selector + ', '}${text(q.label)})`;
      case 2: return `metrics(${text(q.metric)})`;
      case 3: return `query_result(${text(q.varQuery)})`;
      case 4: return text(q.seriesQuery);
    }
    if (typeof q.expr === 'string' && q.expr !== '') return q.expr;
  }
  return text(v.definition);
}

function variable(v: Json, kinds: Kinds): Variable {
  const query = v.type === 'query' && foreign(v.datasource, kinds) !== '' ? '' : queryOf(v);
  return {
    name: text(v.name),
    label: text(v.label) || text(v.name),
    type: v.type ?? 'query',
    query,
    regex: text(v.regex),
    sort: Number(v.sort) || 0,
    multi: v.multi === true,
    includeAll: v.includeAll === true,
    allValue: text(v.allValue),
    hide: Number(v.hide) || 0,
    refresh: Number(v.refresh) || 0,
    options: (Array.isArray(v.options) ? v.options : []).filter((o: Json) => o && typeof o === 'object').map((o: Json) => ({ text: text(o.text), value: text(o.value) })),
    current: v.current && typeof v.current === 'object' ? v.current : {},
    auto: v.auto === true,
    autoCount: Number(v.auto_count) || 30,
    autoMin: parseDuration(text(v.auto_min)) ?? 10,
    filters: (Array.isArray(v.filters) ? v.filters : []).map((f: Json) => ({ key: text(f.key), operator: text(f.operator) || '=', value: text(f.value) })),
    description: text(v.description),
  };
}

function annotation(a: Json, kinds: Kinds): Annotation {
  return {
    name: text(a.name),
    expr: foreign(a.datasource, kinds) !== '' ? '' : text(a.expr || a.target?.expr),
    color: text(a.iconColor) || 'blue',
    enabled: a.enable !== false,
    hidden: a.hide === true,
    title: text(a.titleFormat),
    text: text(a.textFormat),
    tagKeys: text(a.tagKeys).split(',').map((k) => k.trim()).filter(Boolean),
    step: text(a.step || a.target?.interval),
    valueForTime: a.useValueForTime === true || a.useValueForTime === 'on',
    panels: Array.isArray(a.filter?.ids) ? { ids: a.filter.ids.map(String), except: a.filter.exclude === true } : null,
  };
}

export function parseDashboard(doc: Json): Dashboard {
  loose = 0;
  taken = new Set();
  const about: About = { kinds: kindsIn(doc), elements: doc.__elements };
  const rows: Row[] = [];
  if (list(doc.panels).length > 0) {
    let row: Row = { key: 'top', title: '', collapsed: false, repeat: '', panels: [], implicit: true };
    rows.push(row);
    const at = (p: Json, k: 'x' | 'y'): number => count(p.gridPos?.[k], 0);
    const ordered = list(doc.panels).sort((a, b) => at(a, 'y') - at(b, 'y') || at(a, 'x') - at(b, 'x'));
    for (const p of ordered) {
      if (p.type === 'row') {
        row = { key: `row-${p.id ?? rows.length}`, title: text(p.title), collapsed: p.collapsed === true, repeat: text(p.repeat).replace(/^\$\{?|\}$/g, ''), panels: list(p.panels).map((q) => panel(q, about)), implicit: false };
        rows.push(row);
      } else row.panels.push(panel(p, about));
    }
  } else {
    list(doc.rows).forEach((r, i) => {
      let x = 0;
      let y = 0;
      const height = Math.max(2, Math.ceil((parseInt(text(r.height), 10) || 250) / 38));
      const panels = list(r.panels).map((p) => {
        const w = Math.max(1, Math.min(24, Math.round((Number(p.span) || 4) * 2)));
        if (x + w > 24) {
          x = 0;
          y += height;
        }
        const made = panel(p, about, { x, y, w, h: p.height ? Math.max(2, Math.ceil((parseInt(text(p.height), 10) || 250) / 38)) : height });
        x += w;
        return made;
      });
      rows.push({ key: `row-${i}`, title: text(r.title), collapsed: r.collapse === true, repeat: text(r.repeat), panels, implicit: r.showTitle !== true && r.collapse !== true && !r.repeat });
    });
  }
  const all = new Map(rows.flatMap((r) => r.panels).map((q) => [q.id, q]));
  for (const p of all.values()) {
    if (!p.targets.some((t) => t.panel !== '')) continue;
    const before = p.targets.filter((t) => t.withTransforms).flatMap((t) => all.get(t.panel)?.source.transformations ?? []);
    p.targets = p.targets.flatMap((t) => (t.panel === '' ? [t] : (all.get(t.panel)?.targets ?? []).filter((o) => o.panel === '')));
    p.transformations = [...before, ...p.transformations];
  }
  return {
    uid: text(doc.uid),
    title: text(doc.title) || 'Dashboard',
    rows,
    variables: list(doc.templating?.list).map((v) => variable(v, about.kinds)),
    from: text(doc.time?.from) || 'now-1h',
    to: text(doc.time?.to) || 'now',
    refresh: typeof doc.refresh === 'string' ? doc.refresh : '',
    timezone: text(doc.timezone),
    inputs: Object.fromEntries((Array.isArray(doc.__inputs) ? doc.__inputs : []).filter((i: Json) => typeof i?.name === 'string').map((i: Json) => [i.name, i.type === 'constant' ? text(i.value) : SOURCE])),
    tags: Array.isArray(doc.tags) ? doc.tags.map(String) : [],
    links: list(doc.links),
    annotations: list(doc.annotations?.list).map((a) => annotation(a, about.kinds)).filter((a) => a.expr !== ''),
    sharedTooltip: doc.graphTooltip > 0 || doc.sharedCrosshair === true,
  };
}
