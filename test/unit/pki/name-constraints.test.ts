import { describe, expect, test } from 'vitest';

import { explicit, implicit, octetString, sequence } from '../../fixtures/pki/der-writer.ts';
import { extension, generalName, nameConstraints, subjectAltName } from '../../fixtures/pki/extension.ts';
import { make, name } from '../../fixtures/pki/make-certificate.ts';
import { type Case, intKey, leaf, leafKey, rolledOver, root, rootKey, type Spec, three, verify } from '../../fixtures/pki/path-case.ts';

/** RFC 5280 4.2.1.10 and 6.1.3 (b), (c), 6.1.4 (g), through `verifyPath`. */

const dns = (...values: readonly string[]): Buffer => subjectAltName(...values.map(generalName.dns));
const permit = (...bases: readonly Buffer[]): Buffer => nameConstraints({ permitted: bases });
const exclude = (...bases: readonly Buffer[]): Buffer => nameConstraints({ excluded: bases });
/** Root that constrains, Int, and a leaf with these names. */
const constrained = (constraint: Buffer, ...names: readonly Buffer[]): Case =>
  three({ root: { extensions: [constraint] }, leaf: { extensions: names.length === 0 ? [] : [subjectAltName(...names)] } });

describe('ok', () => {
  test.each<[string, readonly string[], () => Case]>([
    [
      'DNS name below',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.dns('example.com')), generalName.dns('a.EXAMPLE.com'), generalName.dns('example.com')),
    ],
    [
      'DNS name beside the excluded',
      ['leaf', 'Int', 'Root'],
      () => constrained(exclude(generalName.dns('example.com')), generalName.dns('badexample.com')),
    ],
    [
      'one of several permitted',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.dns('a'), generalName.dns('b')), generalName.dns('x.b')),
    ],
    ['no name of that form', ['leaf', 'Int', 'Root'], () => constrained(permit(generalName.dns('a')), generalName.email('a@b'))],
    [
      'e-mail mailbox',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.email('me@example.com')), generalName.email('me@EXAMPLE.com')),
    ],
    [
      'e-mail host',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.email('example.com')), generalName.email('a@example.com')),
    ],
    [
      'e-mail domain',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.email('.example.com')), generalName.email('a@mail.example.com')),
    ],
    [
      'URI host',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.uri('example.com')), generalName.uri('https://u@Example.com:8443/x')),
    ],
    [
      'URI domain',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.uri('.example.com')), generalName.uri('coap://a.example.com')),
    ],
    [
      'IPv4 range',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.ip(10, 1, 0, 0, 255, 255, 0, 0)), generalName.ip(10, 1, 2, 3)),
    ],
    [
      'IPv6 beside an IPv4 exclusion',
      ['leaf', 'Int', 'Root'],
      () => constrained(exclude(generalName.ip(0, 0, 0, 0, 0, 0, 0, 0)), generalName.ip(...Array.from({ length: 16 }, () => 1))),
    ],
    ['directory name', ['leaf', 'Int', 'Root'], directoryPermitted],
    [
      'they do not bind self-issued intermediates',
      ['leaf', 'Root', 'Root'],
      () => rolledOver({ extensions: [permit(generalName.directory(name('leaf')))] }),
    ],
    [
      'a form that is not understood, not met',
      ['leaf', 'Int', 'Root'],
      () => constrained(permit(generalName.registeredId('1.2.3')), generalName.dns('a')),
    ],
  ])('%s', (_, path, build) => {
    const verdict = verify(build());
    expect(verdict).toMatchObject({ ok: true });
    expect(verdict.path.map((certificate) => certificate.commonName)).toEqual(path);
  });
});

describe('refused', () => {
  test.each<[string, string, () => Case]>([
    [
      'DNS name elsewhere',
      'leaf',
      () => constrained(permit(generalName.dns('example.com')), generalName.dns('a.example.com'), generalName.dns('example.org')),
    ],
    ['DNS name that only ends alike', 'leaf', () => constrained(permit(generalName.dns('example.com')), generalName.dns('badexample.com'))],
    [
      'the domain itself when the base begins with a dot',
      'leaf',
      () => constrained(permit(generalName.dns('.example.com')), generalName.dns('example.com')),
    ],
    ['excluded DNS name', 'leaf', () => constrained(exclude(generalName.dns('example.com')), generalName.dns('A.Example.Com'))],
    ['every DNS name excluded', 'leaf', () => constrained(exclude(generalName.dns('')), generalName.dns('x'))],
    [
      'excluded within permitted',
      'leaf',
      () => constrained(nameConstraints({ permitted: [generalName.dns('b')], excluded: [generalName.dns('a.b')] }), generalName.dns('a.b')),
    ],
    [
      'not critical, yet they bind',
      'leaf',
      () => constrained(nameConstraints({ permitted: [generalName.dns('b')] }, false), generalName.dns('c')),
    ],
    [
      'those of an intermediate',
      'leaf',
      () => three({ int: { extensions: [permit(generalName.dns('a'))] }, leaf: { extensions: [dns('b')] } }),
    ],
    [
      'intersection of two CAs',
      'leaf',
      () =>
        three({
          root: { extensions: [permit(generalName.dns('a'))] },
          int: { extensions: [permit(generalName.dns('b'))] },
          leaf: { extensions: [dns('x.b')] },
        }),
    ],
    ['they bind intermediates', 'Int', () => three({ root: { extensions: [exclude(generalName.directory(name('Int')))] } })],
    ['they bind a self-issued leaf', 'Root', selfIssuedLeaf],
    [
      'e-mail domain in the middle of the host',
      'leaf',
      () => constrained(permit(generalName.email('.example.com')), generalName.email('a@mail.example.com.test')),
    ],
    ['another mailbox', 'leaf', () => constrained(permit(generalName.email('me@example.com')), generalName.email('ME@example.com'))],
    [
      'e-mail of a host below the host',
      'leaf',
      () => constrained(permit(generalName.email('example.com')), generalName.email('a@mail.example.com')),
    ],
    [
      'e-mail of the domain itself',
      'leaf',
      () => constrained(permit(generalName.email('.example.com')), generalName.email('a@example.com')),
    ],
    ['e-mail without @', 'leaf', () => constrained(exclude(generalName.email('example.com')), generalName.email('example.com'))],
    [
      'e-mail in the subject',
      'leaf',
      () =>
        three({
          root: { extensions: [permit(generalName.email('example.com'))] },
          leaf: {
            subject: [
              ['CN', 'leaf'],
              ['E', 'a@example.org'],
            ],
          },
        }),
    ],
    ['another URI host', 'leaf', () => constrained(permit(generalName.uri('example.com')), generalName.uri('https://www.example.com/'))],
    [
      'URI host behind user information',
      'leaf',
      () => constrained(permit(generalName.uri('example.com')), generalName.uri('https://example.com@evil.test/')),
    ],
    ['URI with an IP address', 'leaf', () => constrained(exclude(generalName.uri('example.com')), generalName.uri('https://10.0.0.1/'))],
    ['URI without a host', 'leaf', () => constrained(exclude(generalName.uri('example.com')), generalName.uri('urn:x'))],
    ['IPv4 address outside', 'leaf', () => constrained(permit(generalName.ip(10, 1, 0, 0, 255, 255, 0, 0)), generalName.ip(10, 2, 0, 1))],
    [
      'IPv6 address where IPv4 is permitted',
      'leaf',
      () => constrained(permit(generalName.ip(10, 1, 0, 0, 255, 255, 0, 0)), generalName.ip(...Array.from({ length: 16 }, () => 1))),
    ],
    ['excluded IPv4 address', 'leaf', () => constrained(exclude(generalName.ip(10, 0, 0, 0, 255, 0, 0, 0)), generalName.ip(10, 2, 0, 1))],
    [
      'an address of five bytes',
      'leaf',
      () => constrained(exclude(generalName.ip(10, 0, 0, 0, 255, 0, 0, 0)), generalName.ip(1, 2, 3, 4, 5)),
    ],
    ['another directory name', 'leaf', directoryOutside],
    [
      'directory name in subjectAltName',
      'leaf',
      () => constrained(exclude(generalName.directory(name('x'))), generalName.directory(name('X'))),
    ],
    [
      'a form that is not understood',
      'leaf',
      () => constrained(permit(generalName.registeredId('1.2.3')), generalName.registeredId('1.2.3')),
    ],
    [
      'otherName of the same type',
      'leaf',
      () =>
        constrained(
          exclude(generalName.other('1.2.3', octetString(Buffer.alloc(1)))),
          generalName.other('1.2.3', octetString(Buffer.alloc(2))),
        ),
    ],
    ['minimum', 'leaf', () => constrained(withMinimum(1), generalName.dns('a.example.com'))],
    ['more comparisons than anybody needs', 'leaf', tooManyNames],
    [
      'a name that is longer than names are',
      'leaf',
      () => constrained(exclude(generalName.uri('a')), generalName.uri(`http://b/${'x'.repeat(2000)}`)),
    ],
  ])('%s', (_, broken, build) => {
    const verdict = verify(build());
    if (verdict.ok) expect.fail('it was accepted');
    expect([verdict.reason, verdict.certificate.commonName]).toEqual(['name-constraints', broken]);
    expect(verdict.detail).toMatch(/^The certificate .* has a name that its issuer may not give: .*\.$/u);
  });
});

/** A device with the name of its CA, which that CA may not give. */
function selfIssuedLeaf(): Case {
  const top = root({ extensions: [exclude(generalName.directory(name('Root')))] });
  return { leaf: leaf(top, { subject: 'Root' }), anchors: [top] };
}

const acme: NonNullable<Spec['subject']> = [
  ['C', 'DE'],
  ['O', 'Acme'],
];

function directoryPermitted(): Case {
  const top = make({ subject: 'Root', key: rootKey, ca: true, extensions: [permit(generalName.directory(name(acme)))] });
  const middle = make({
    subject: [
      ['C', 'de', 'printable'],
      ['O', ' ACME'],
      ['CN', 'Int'],
    ],
    key: intKey,
    ca: true,
    issuer: top,
  });
  return {
    leaf: make({
      subject: [
        ['C', 'DE'],
        ['O', 'acme'],
        ['CN', 'leaf'],
      ],
      key: leafKey,
      issuer: middle,
    }),
    intermediates: [middle],
    anchors: [top],
  };
}

function directoryOutside(): Case {
  const chain = directoryPermitted();
  const [middle] = chain.intermediates ?? [];
  return {
    ...chain,
    leaf: make({
      subject: [
        ['O', 'Acme'],
        ['C', 'DE'],
        ['CN', 'leaf'],
      ],
      key: leafKey,
      ...(middle === undefined ? {} : { issuer: middle }),
    }),
  };
}

function withMinimum(minimum: number): Buffer {
  return extension('2.5.29.30', sequence(explicit(0, sequence(generalName.dns('example.com'), implicit(0, Buffer.from([minimum]))))), true);
}

function tooManyNames(): Case {
  const many = (count: number): readonly Buffer[] => Array.from({ length: count }, (_, index) => generalName.dns(`h${index}.a`));
  return constrained(nameConstraints({ excluded: many(300).map(() => generalName.dns('zz')) }), ...many(300));
}
