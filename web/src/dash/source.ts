// Whom a panel or a query asks. A file may name its data source in many ways; all that speak PromQL are this
// server, and the others are not here.
import type { Json } from './model';

export const EXPRESSION = '__expr__';

// What speaks PromQL, and what Grafana itself answers.
const OWN = /^(?!.*alertmanager).*prom|mimir|cortex|thanos|victoriametrics|^(vedette|datasource|grafana|dashboard|mixed|default)$/i;
const NAMES: Record<string, string> = { loki: 'Loki', elasticsearch: 'Elasticsearch', opensearch: 'OpenSearch', influxdb: 'InfluxDB', graphite: 'Graphite', cloudwatch: 'CloudWatch', mysql: 'MySQL', postgres: 'PostgreSQL', mssql: 'SQL Server', tempo: 'Tempo', jaeger: 'Jaeger', zipkin: 'Zipkin', testdata: "Grafana's test data", stackdriver: 'Google Cloud Monitoring' };

// The kinds of source that the names in this file stand for: variables of type "datasource" and inputs.
export type Kinds = Record<string, string>;

export function kindsIn(doc: Json): Kinds {
  const kinds: Kinds = {};
  for (const i of Array.isArray(doc.__inputs) ? doc.__inputs : []) if (i?.type === 'datasource' && typeof i.name === 'string') kinds[i.name] = String(i.pluginId ?? '');
  for (const v of Array.isArray(doc.templating?.list) ? doc.templating.list : []) if (v?.type === 'datasource' && typeof v.name === 'string') kinds[v.name] = typeof v.query === 'string' ? v.query : '';
  return kinds;
}

function kindOf(source: Json, kinds: Kinds): string {
  if (typeof source === 'string') {
    const name = /^\$\{?(\w+)(?::\w+)?\}?$|^\[\[(\w+)\]\]$/.exec(source.trim());
    if (name) return kinds[name[1] ?? name[2]] ?? '';
    if (source === EXPRESSION) return EXPRESSION;
    // A name may be anything; only one that is a kind's own says what it is.
    return Object.hasOwn(NAMES, source.toLowerCase()) ? source.toLowerCase() : '';
  }
  if (typeof source !== 'object' || source === null) return '';
  if (source.uid === EXPRESSION || source.type === EXPRESSION) return EXPRESSION;
  if (typeof source.uid === 'string' && source.uid.startsWith('-- ')) return '';
  const type = typeof source.type === 'string' && !source.type.includes('$') ? source.type : '';
  return type !== '' ? type : kindOf(source.uid, kinds);
}

export const isExpression = (source: Json, kinds: Kinds): boolean => kindOf(source, kinds) === EXPRESSION;

// The name of a source that is not here; empty for this server.
export function foreign(source: Json, kinds: Kinds): string {
  const kind = kindOf(source, kinds);
  if (kind === '' || kind === EXPRESSION || OWN.test(kind)) return '';
  const short = kind.replace(/^grafana-|-datasource$/g, '');
  return Object.hasOwn(NAMES, short) ? NAMES[short] : short;
}
