// A role for GitHub's jobs in a stack of the AWS CDK. role.template.yaml is what aws-cdk-lib 2.276 makes of it.
import { App, CfnOutput, CustomResource, DefaultStackSynthesizer, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';

const app = new App({ analyticsReporting: false });
const stack = new Stack(app, 'Web', { synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) });
const serviceToken = Fn.importValue('github-trust-ServiceToken');

const bucket = new s3.Bucket(stack, 'Site', {
  blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
  // Kept when the stack goes, and not when its first deployment fails.
  removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
});

const provider = new CustomResource(stack, 'Provider', { serviceToken, resourceType: 'Custom::GitHubOidcProvider' });

const role = new CustomResource(stack, 'Role', {
  serviceToken,
  resourceType: 'Custom::GitHubRole',
  properties: {
    ProviderArn: provider.ref,
    Trust: [{ Repository: 'octo-org/web', Branches: ['main'] }],
    // The role's own permissions belong here, and not into a grant of the bucket.
    Policies: [{
      PolicyName: 'publish',
      PolicyDocument: new iam.PolicyDocument({
        statements: [new iam.PolicyStatement({ actions: ['s3:PutObject'], resources: [bucket.arnForObjects('*')] })],
      }),
    }],
  },
});

// In policies of resources the role is a principal, by its ARN. `Role.fromRoleArn` and `Role.fromRoleName` lose the path.
bucket.addToResourcePolicy(new iam.PolicyStatement({
  principals: [new iam.ArnPrincipal(role.getAttString('Arn'))],
  actions: ['s3:GetObject'],
  resources: [bucket.arnForObjects('*')],
}));

new CfnOutput(stack, 'RoleArn', { value: role.getAttString('Arn') });
