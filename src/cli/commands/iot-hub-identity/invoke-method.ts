import { usageError } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { integer, required, text } from '../../grammar/option.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { readJson } from '../json-argument.ts';
import { type IdentityKind, twinPathOf } from './kind.ts';

/** az takes no others, and waits as long for the device as for its answer. */
const timeouts = { least: 10, usual: 30, most: 300 } as const;

export function defineInvokeMethod({ noun, options, example }: IdentityKind): Command {
  const name = `iot hub invoke-${noun}-method`;
  return defineCommand({
    name,
    summary: `Invoke a method of a ${noun}.`,
    examples: [
      {
        text: 'Reboot, with a payload.',
        command: `${name} -n hub-local ${example} --method-name reboot --method-payload '{"delay":5}'`,
      },
    ],
    options: {
      ...options,
      methodName: required(text(['--method-name', '--mn'], 'Name of the method.')),
      methodPayload: text(['--method-payload', '--mp'], 'JSON for the method: inline, or the path of a file.'),
      timeout: integer(
        ['--timeout', '--to'],
        `Seconds to wait for the ${noun} and for its answer, ${timeouts.least} to ${timeouts.most}.`,
        {
          defaultText: String(timeouts.usual),
        },
      ),
      ...hubTarget,
    },
    async run(values, context) {
      const { timeout = timeouts.usual } = values;
      if (timeout < timeouts.least || timeout > timeouts.most) {
        throw usageError(`argument --timeout/--to: must be ${timeouts.least} to ${timeouts.most} seconds.`);
      }
      const payload = values.methodPayload === undefined ? null : await readJson(values.methodPayload, '--method-payload/--mp');
      const service = await openHub(values, context);
      return service.send({
        method: 'POST',
        path: `${twinPathOf(values)}/methods`,
        body: { methodName: values.methodName, payload, responseTimeoutInSeconds: timeout, connectTimeoutInSeconds: timeout },
        answerSeconds: 2 * timeout + 30,
      });
    },
  });
}
