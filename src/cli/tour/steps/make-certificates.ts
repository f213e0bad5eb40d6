import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { cast, type Step } from '../stage.ts';

export const makeCertificates: Step = {
  title: 'Certificates: a root, an intermediate, three devices',
  async run({ screen, shell }) {
    await shell.run('pki root --name root --out pki');
    await shell.run('pki intermediate --name factory --issuer pki/root.cert.pem --issuer-key pki/root.key.pem --out pki');
    for (const { id } of cast) {
      await shell.run(`pki device --name ${id} --issuer pki/factory.chain.pem --issuer-key pki/factory.key.pem --out pki`);
    }
    for (const { id } of cast) {
      const leaf = new X509Certificate(await readFile(`pki/${id}.cert.pem`));
      screen.fact(id, `${leaf.subject}, issued by ${leaf.issuer}`);
    }
  },
};
