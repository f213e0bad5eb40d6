import type { TransportName } from '../../../src/contracts/transport.ts';
import { type AzureSdks, SdkFailure, startAzureSdks } from './azure-sdks.ts';
import { CertGen, type Issued } from './cert-gen.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './service.ts';

export const hubA = 'hub-a.azure-devices.localhost';
export const hubB = 'hub-b.azure-devices.localhost';

/** A service with two hubs, genuine clients beside it, and a root made by openssl. */
export interface Stage {
  readonly service: RunningService;
  readonly sdks: AzureSdks;
  readonly pki: CertGen;
  readonly root: Issued;
  readonly idScope: string;
  readonly globalEndpoint: string;
  /** Without a port, as Azure's are: the SDKs dial 443. */
  readonly dpsConnectionString: string;
  hubConnectionString(hostName: string): string;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const folder = temporaryFolder();
  const pki = new CertGen(`${folder}/pki`);
  const [root, service] = await Promise.all([
    pki.root('Azure IoT Hub CA Cert Test Only'),
    startService(`${folder}/data`, ['--hub', `hub-a=${hubA}`, '--hub', `hub-b=${hubB}`]),
  ]);
  const sdks = await startAzureSdks(service.endpoints);
  const [dps] = service.endpoints.dps;
  if (dps === undefined) throw new Error('the service made no provisioning service');
  return {
    service,
    sdks,
    pki,
    root,
    idScope: dps.idScope,
    globalEndpoint: dps.globalEndpoint,
    dpsConnectionString: withoutPort(dps.serviceConnectionString),
    hubConnectionString: (hostName) => withoutPort(service.endpoints.hubs.find((hub) => hub.hostName === hostName)?.connectionString ?? ''),
    async close() {
      await sdks.close();
      await service.stop();
      removeFolder(folder);
    },
  };
}

const withoutPort = (connectionString: string): string => connectionString.replace(/^(HostName=[^;:]+):\d+/u, '$1');

/** An enrollment group for a signing certificate, as a service SDK sends it. */
export function groupOf(id: string, signing: Issued, extra: object = {}): object {
  return {
    enrollmentGroupId: id,
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: signing.certificate } } } },
    provisioningStatus: 'enabled',
    ...extra,
  };
}

/** A disabled individual enrollment for a leaf: the exercise's deny entry. */
export function denyOf(id: string, leaf: Issued): object {
  return {
    registrationId: id,
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.certificate } } } },
    provisioningStatus: 'disabled',
  };
}

/** One device with its leaf, seen through the SDKs. */
export class Device {
  private readonly stage: Stage;
  private readonly leaf: Issued;
  readonly id: string;
  readonly transport: TransportName;

  constructor(stage: Stage, device: { readonly id: string; readonly leaf: Issued; readonly transport: TransportName }) {
    this.stage = stage;
    this.id = device.id;
    this.leaf = device.leaf;
    this.transport = device.transport;
  }

  register(payload?: object): Promise<{ status: string; substatus: string; assignedHub: string; deviceId: string; payload?: unknown }> {
    return this.stage.sdks.run('register', { ...this.registration(), ...(payload === undefined ? {} : { payload }) });
  }

  registrationFailure(): ReturnType<AzureSdks['failure']> {
    return this.stage.sdks.failure('register', this.registration());
  }

  connect(hub: string): Promise<unknown> {
    return this.stage.sdks.run('open', this.connection(hub));
  }

  /** What the SDK reports when the hub does not let the device in. Over AMQP and HTTPS it shows with the first message. */
  async entryFailure(hub: string): ReturnType<AzureSdks['failure']> {
    const connection = `${this.id}-refused`;
    try {
      await this.stage.sdks.run('open', { ...this.connection(hub), connection });
    } catch (error) {
      if (error instanceof SdkFailure) return error.sdk;
      throw error;
    }
    return await this.stage.sdks.failure('send', { connection, text: 'let me in' });
  }

  call<T = unknown>(operation: string, input: object = {}): Promise<T> {
    return this.stage.sdks.run<T>(operation, { connection: this.id, ...input });
  }

  callFailure(operation: string, input: object = {}): ReturnType<AzureSdks['failure']> {
    return this.stage.sdks.failure(operation, { connection: this.id, ...input });
  }

  private registration(): object {
    const { idScope, globalEndpoint: host } = this.stage;
    return { transport: this.transport, host, idScope, registrationId: this.id, cert: this.leaf.certificate, key: this.leaf.key };
  }

  private connection(hub: string): object {
    return {
      connection: this.id,
      transport: this.transport,
      hub,
      deviceId: this.id,
      cert: this.leaf.certificate,
      key: this.leaf.key,
      noRetry: true,
    };
  }
}
