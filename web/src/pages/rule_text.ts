// A rule as the text of a rule file, to be edited and rehearsed. YAML reads JSON's strings.
export function ruleText(rule: { name: string; query: string; duration?: number; labels?: Record<string, string>; annotations?: Record<string, string> }): string {
  const map = (m: Record<string, string> | undefined): string => Object.entries(m ?? {}).map(([k, v]) => `\n      ${JSON.stringify(k)}: ${JSON.stringify(v)}`).join('');
  return `groups:\n- name: rehearsal\n  rules:\n  - alert: ${JSON.stringify(rule.name)}\n    expr: ${JSON.stringify(rule.query)}\n${rule.duration ? `    for: ${rule.duration}s\n` : ''}${map(rule.labels) ? `    labels:${map(rule.labels)}\n` : ''}${map(rule.annotations) ? `    annotations:${map(rule.annotations)}\n` : ''}`;
}
