// What the Node clients of both protocols get from the server at $BASE_URL, as JSON on standard output.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.MODULES}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { GoogleGenAI } = await load('@google/genai');
const { default: OpenAI } = await load('openai');

const baseUrl = process.env.BASE_URL;
const media = process.env.MEDIA;
const picture = fs.readFileSync(`${media}/guitar.png`).toString('base64');
const found = {};

const genai = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl } });
const values = (answer) => answer.embeddings.map((embedding) => embedding.values);
const config = { taskType: 'RETRIEVAL_DOCUMENT', outputDimensionality: 128 };
found.genai = values(await genai.models.embedContent({ model: 'nano', contents: ['one', 'two'], config }));
const parts = [{ text: 'look: ' }, { inlineData: { mimeType: 'image/png', data: picture } }];
found.genaiPicture = values(await genai.models.embedContent({ model: 'nano', contents: [{ parts }] }));
const file = await genai.files.upload({ file: `${media}/radio-history.pdf`, config: { mimeType: 'application/pdf' } });
const filePart = { fileData: { fileUri: file.uri, mimeType: file.mimeType } };
found.genaiFile = values(await genai.models.embedContent({ model: 'nano', contents: [{ parts: [filePart] }] }));
await genai.files.delete({ name: file.name });
found.genaiTokens = (await genai.models.countTokens({ model: 'nano', contents: 'hello there' })).totalTokens;
found.genaiModel = (await genai.models.get({ model: 'nano' })).name;
let job = await genai.batches.createEmbeddings({ model: 'nano', src: { inlinedRequests: { contents: ['one', 'two'] } } });
while (!['JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED'].includes(job.state)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  job = await genai.batches.get({ name: job.name });
}
found.genaiBatch = job.dest.inlinedEmbedContentResponses.map((row) => row.response.embedding.values);
found.genaiError = await genai.models.embedContent({ model: 'other', contents: ['a'] }).catch((error) => error.status);

const openai = new OpenAI({ apiKey: 'none', baseURL: `${baseUrl}/v1`, maxRetries: 0 });
const rows = (answer) => answer.data.map((row) => row.embedding);
found.openai = rows(await openai.embeddings.create({ model: 'nano', input: ['one', 'two'], dimensions: 128 }));
found.openaiFloat = rows(await openai.embeddings.create({ model: 'nano', input: 'one', encoding_format: 'float' }));
found.openaiModels = (await openai.models.list()).data.map((model) => model.id);
const body = { custom_id: 'a', method: 'POST', url: '/v1/embeddings', body: { model: 'nano', input: 'one' } };
const upload = await openai.files.create({ file: new File([JSON.stringify(body)], 'in.jsonl'), purpose: 'batch' });
let batch = await openai.batches.create({ input_file_id: upload.id, endpoint: '/v1/embeddings', completion_window: '24h' });
while (!['completed', 'failed'].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  batch = await openai.batches.retrieve(batch.id);
}
const line = JSON.parse(await (await openai.files.content(batch.output_file_id)).text());
found.openaiBatch = rows(line.response.body);
found.openaiError = await openai.embeddings.create({ model: 'other', input: 'a' }).catch((error) => error.status);

console.log(JSON.stringify(found));
