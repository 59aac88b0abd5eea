// Vercel's AI SDK against the gateway, by either of its providers: everything it found, as JSON.
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai'

const [provider, ...models] = process.argv.slice(2)
const address = { baseURL: process.env.GATEWAY_URL, apiKey: process.env.GATEWAY_KEY }
const openai = createOpenAI(address)
const compatible = createOpenAICompatible({
  ...address,
  name: 'altyn',
  includeUsage: true,
  supportsStructuredOutputs: true,
})
const named = { openai: (id) => openai.chat(id), compatible: (id) => compatible(id) }[provider]
const prompt = 'Привет!'
const maxRetries = 0

const weather = tool({
  inputSchema: jsonSchema({
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  }),
  execute: async ({ city }) => `21 degrees in ${city}`,
})
const place = jsonSchema({
  type: 'object',
  properties: { city: { type: 'string' }, degrees: { type: 'integer' } },
  required: ['city', 'degrees'],
  additionalProperties: false,
})

async function whole(model) {
  const { text, finishReason, usage } = await generateText({ model, prompt, maxRetries })
  return { text, finishReason, total: usage.totalTokens }
}

async function stream(model) {
  const answer = streamText({ model, prompt, maxRetries })
  let text = ''
  for await (const part of answer.textStream) text += part
  const usage = await answer.usage
  return { text, finishReason: await answer.finishReason, total: usage.totalTokens }
}

async function toolLoop(model, ask) {
  const answer = await ask({
    model,
    prompt,
    maxRetries,
    tools: { weather },
    stopWhen: stepCountIs(3),
  })
  const steps = await answer.steps
  const called = steps.flatMap((step) => step.toolCalls).map((call) => [call.toolName, call.input])
  const results = steps.flatMap((step) => step.toolResults).map((result) => result.output)
  return { called, results, text: await answer.text }
}

async function structured(model) {
  const output = Output.object({ schema: place })
  const answer = await generateText({ model, prompt, maxRetries, output })
  return answer.output
}

async function failure() {
  try {
    await generateText({ model: named('nobody/nothing'), prompt, maxRetries })
  } catch (error) {
    return { status: error.statusCode, code: error.data?.error?.code }
  }
  throw new Error('the call did not fail')
}

const found = {}
for (const id of models) {
  const model = named(id)
  found[id] = {
    whole: await whole(model),
    stream: await stream(model),
    toolLoop: await toolLoop(model, generateText),
    streamedToolLoop: await toolLoop(model, streamText),
    structured: await structured(model),
  }
}
found.failure = await failure()
console.log(JSON.stringify(found))
