/**
 * Whether a topic name matches a topic filter (chapter 4.7). `+` and `#` are wildcards only as a whole segment, `#`
 * only at the end; elsewhere they are letters, because device ids may contain them. A wildcard in the first segment
 * never matches a topic that begins with `$` [MQTT-4.7.2-1].
 */
export function matchesTopic(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const given = topic.split('/');
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (const [index, segment] of wanted.entries()) {
    if (segment === '#' && index === wanted.length - 1) return true;
    if (index >= given.length) return false;
    if (segment !== '+' && segment !== given[index]) return false;
  }
  return wanted.length === given.length;
}
