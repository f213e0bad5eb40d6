import { expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';

test('derives the key that the documentation shows', () => {
  const groupKey = '8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==';
  const derived = deriveDeviceKey(Buffer.from(groupKey, 'base64'), 'sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6');
  expect(derived).toBe('Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=');
});

test('takes the id as it is spelled', () => {
  const groupKey = Buffer.alloc(64, 1);
  expect(deriveDeviceKey(groupKey, 'Dev-1')).not.toBe(deriveDeviceKey(groupKey, 'dev-1'));
});
