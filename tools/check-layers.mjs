// Holds the imports of src/ against the layers of ARCHITECTURE.md, and makes sure that it really looked at modules.
import { cruise } from 'dependency-cruiser';
import { layers, forbiddenRules } from './layers.mjs';

const result = await cruise(['src'], {
  ruleSet: { forbidden: forbiddenRules() },
  validate: true,
  doNotFollow: { path: 'node_modules' },
  tsPreCompilationDeps: true,
  exoticRequireStrings: [],
  enhancedResolveOptions: {
    extensions: ['.ts', '.js', '.mjs', '.cjs'],
    exportsFields: ['exports'],
    conditionNames: ['import', 'node', 'default'],
  },
});
const { modules, summary } = result.output;
const own = modules.filter((module) => module.source.startsWith('src/'));
const arrows = own.flatMap((module) => module.dependencies).filter((dependency) => dependency.resolved.startsWith('src/'));
for (const layer of layers) {
  const seen = own.filter((module) => new RegExp(layer.path, 'u').test(module.source));
  if (seen.length === 0) fail(`layer "${layer.name}" has no module: the check would hold nothing there`);
}
if (own.length < 50 || arrows.length < own.length) fail(`only ${own.length} modules and ${arrows.length} imports were looked at`);
const stray = own.filter((module) => !layers.some((layer) => new RegExp(layer.path, 'u').test(module.source)));
if (stray.length > 0) fail(`no layer has a place for ${stray.map((module) => module.source).join(', ')}`);
for (const violation of summary.violations) console.error(`${violation.rule.name}: ${violation.from} -> ${violation.to}`);
if (summary.violations.length > 0) fail(`${summary.violations.length} imports go against the layers`);
console.log(`layers hold: ${own.length} modules, ${arrows.length} imports`);

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
