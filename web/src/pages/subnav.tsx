import { href, path } from '../app/router';

const GROUPS: Record<string, [string, string][]> = {
  targets: [
    ['/targets', 'Targets'],
    ['/service-discovery', 'Discovery'],
    ['/agents', 'Agents'],
  ],
  alerts: [
    ['/alerts', 'Alerts'],
    ['/rules', 'Rules'],
    ['/alerting', 'Notifications'],
    ['/silences', 'Silences'],
    ['/rehearse', 'Rehearsal'],
  ],
  status: [
    ['/status', 'Runtime'],
    ['/tsdb-status', 'Cardinality'],
    ['/queries', 'Queries'],
    ['/flags', 'Flags'],
    ['/config', 'Configuration'],
    ['/alertmanager-discovery', 'Alertmanagers'],
  ],
};

export function SubNav({ of }: { of: string }) {
  return (
    <nav class="subnav" aria-label="In this section">
      {GROUPS[of].map(([to, text]) => (
        <a key={to} href={href(to)} aria-current={path.value === to || (to === '/silences' && path.value.startsWith(to)) ? 'page' : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}
