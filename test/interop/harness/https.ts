import { Agent, request } from 'node:https';

export interface HttpsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpsCall {
  readonly method: string;
  readonly port: number;
  readonly path: string;
  readonly ca: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** One request on a connection of its own, with TLS verification on. Rejects when the connection breaks before the answer is whole. */
export function callHttps(call: HttpsCall): Promise<HttpsAnswer> {
  const { method, port, path, ca, cert, key } = call;
  const agent = new Agent({ keepAlive: false });
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      path,
      method,
      ca,
      cert,
      key,
      agent,
      headers: { host: 'localhost', ...call.headers },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('aborted')));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    outgoing.end(call.body);
  });
}
